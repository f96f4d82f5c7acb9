"""HTTPS calls to Google's token services: bounded, redirects not followed, nothing from the environment."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import google.auth.exceptions
import google.auth.transport
import google.auth.transport.requests
import requests

from agent.identity.errors import CredentialsError

_SECONDS: Final = 10.0


class GoogleCalls(google.auth.transport.requests.Request):
    """The transport that google.auth calls by.

    `choose_proxy` gives the outbound HTTP proxy of a URL, None for none; `ca_file` the certificates to trust, None for
    those that requests brings; `wall_clock` the seconds since 1970.
    """

    def __init__(
        self,
        choose_proxy: Callable[[str], str | None],
        *,
        wall_clock: Callable[[], float],
        ca_file: str | None = None,
    ) -> None:
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        session.verify = ca_file or True
        super().__init__(session)
        self._choose_proxy = choose_proxy
        self.wall_clock = wall_clock

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = _SECONDS,
        **further: Any,
    ) -> google.auth.transport.Response:
        """Raises google.auth's `TransportError`."""
        outbound = self._choose_proxy(url)
        answer: google.auth.transport.Response = super().__call__(  # type: ignore[no-untyped-call]
            url,
            method=method,
            body=body,
            headers=headers,
            timeout=min(timeout or _SECONDS, _SECONDS),
            allow_redirects=False,
            proxies={"http": outbound, "https": outbound} if outbound else {},
            **further,
        )
        return answer

    def post_json(self, url: str, body: Mapping[str, object], *, token: str, whose: str) -> tuple[int, bytes]:
        """Status and answer; `whose` token it is about, for the error. Raises `CredentialsError`."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            answer: Any = self(url, "POST", json.dumps(body).encode(), headers)
        except google.auth.exceptions.TransportError as exc:
            raise CredentialsError(f"no token of {whose}: Google is not reached: {cause_of(exc)}") from None
        return answer.status, answer.data


def cause_of(exc: BaseException) -> str:
    """The operating system's word for a failed call, without URLs and object addresses."""
    while exc.__cause__ or exc.__context__:
        exc = exc.__cause__ or exc.__context__ or exc
    return str(getattr(exc, "strerror", None) or exc)
