"""Requests to an identity provider: by `requests`, which is slow to import, in threads of their own, bounded in time.

Redirects are not followed, `.netrc` is not read. What does not come is `StoreUnavailable`.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import requests

from broker.errors import StoreUnavailable

_SILENCE: Final = 5.0
"""Seconds to connect, and between two bytes."""
_PATIENCE: Final = 10.0
"""Seconds for all of it."""
_MAX_BYTES: Final = 1 << 20
_THREADS: Final = 4


class WebClient:
    """Asks for JSON. `ca_file` names the authorities that sign the provider's certificates; None for the usual ones."""

    def __init__(self, *, ca_file: Path | None = None) -> None:
        self._verify: str | bool = str(ca_file) if ca_file else True
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="identity-provider")

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> object:
        """What a URL serves as JSON with 200. Raises `StoreUnavailable`."""
        status, value = await self._ask("GET", url, headers=headers, form=None)
        if status != 200 or value is None:
            raise StoreUnavailable(f"{url}: answered with status {status}, not with JSON")
        return value

    async def post(
        self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, object]:
        """The status, and what came as JSON: None for anything else. Raises `StoreUnavailable`, also for a 5xx."""
        status, value = await self._ask("POST", url, headers=headers, form=form)
        if status >= 500:
            raise StoreUnavailable(f"{url}: answered with status {status}")
        return status, value

    async def _ask(
        self, method: str, url: str, *, headers: Mapping[str, str] | None, form: Mapping[str, str] | None
    ) -> tuple[int, object]:
        loop = asyncio.get_running_loop()
        asking = loop.run_in_executor(self._threads, self._call, method, url, headers, form)
        try:
            async with asyncio.timeout(_PATIENCE + _SILENCE):
                return await asking
        except TimeoutError as exc:
            raise StoreUnavailable(f"{url}: did not answer in time") from exc

    def _call(
        self, method: str, url: str, headers: Mapping[str, str] | None, form: Mapping[str, str] | None
    ) -> tuple[int, object]:
        try:
            with (
                requests.Session() as session,
                session.request(
                    method,
                    url,
                    data=form,
                    headers={"Accept": "application/json", **(headers or {})},
                    auth=_as_it_is,
                    verify=self._verify,
                    timeout=_SILENCE,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                return response.status_code, _json_of(_read(response))
        except requests.RequestException as exc:
            # The text of some of these has the whole URL in it, which is the operator's own, and no secret.
            raise StoreUnavailable(f"{url}: {type(exc).__name__}: {exc}") from exc


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """In the place of credentials: otherwise `requests` would look for some in `.netrc`."""
    return request


def _read(response: requests.Response) -> bytes:
    ends, data = time.monotonic() + _PATIENCE, bytearray()
    for piece in response.iter_content(1 << 14):
        data += piece
        if len(data) > _MAX_BYTES or time.monotonic() > ends:
            raise requests.RequestException("too long, or too slow")
    return bytes(data)


def _json_of(data: bytes) -> object:
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value
