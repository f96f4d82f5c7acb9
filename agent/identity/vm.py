"""The identity token of the Compute Engine VM this runs on, from its metadata server; nothing elsewhere.

https://cloud.google.com/compute/docs/instances/verifying-instance-identity
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from agent.backoff import Backoff
from agent.identity.errors import CredentialsError
from agent.identity.metadata import MetadataServer
from agent.identity.tokens import KeptToken
from wire.protocol import VM_ID

logger = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 0.3
"""The first poll waits for this, on machines without a metadata server too."""

_RETRYING: Final = Backoff(timedelta(seconds=10), timedelta(minutes=10))


def _whole_pause() -> float:
    return 1.0


class VmIdentity:
    """`Credentials` that show which VM calls. Never an error: where there is no token, there is no field."""

    def __init__(
        self, metadata_host: str, *, audience: str, now: Callable[[], float], wall_clock: Callable[[], float]
    ) -> None:
        server = MetadataServer(metadata_host, wall_clock=wall_clock, connect_timeout=_CONNECT_SECONDS)
        self._token = KeptToken(
            lambda: server.id_token(audience), name="VM identity", now=now, jitter=_whole_pause, backoff=_RETRYING
        )

    def fields(self) -> Sequence[tuple[str, str]]:
        try:
            return ((VM_ID, self._token.text()),)
        except CredentialsError as exc:
            logger.debug("no VM identity: %s", exc)
            return ()

    def refresh(self) -> None:
        self._token.refuse()
