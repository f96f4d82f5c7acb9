"""`python -m agent.healthcheck`: the health check of the image. Asks `/healthz` at the agent's `STATUS_PORT`.

Exit status: 0 if the agent says that it works, or if nobody gave it a status port; 1 if it does not, or says nothing.
"""

import http.client
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Final

from agent.settings.running import parse_address

_PATIENCE: Final = 5.0
"""Seconds."""

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses at which one can listen and not ask."""


def main(environment: Mapping[str, str]) -> int:
    """The exit status; one line says why."""
    address = parse_address(environment.get("STATUS_PORT", ""))
    if address is None:
        print("no status port, nothing to ask")
        return 0
    is_well, said = ask(*reachable(address))
    print(said)
    return 0 if is_well else 1


def reachable(address: tuple[str, int]) -> tuple[str, int]:
    """Where to ask an agent on this machine that listens at `address`."""
    host, port = address
    return _EVERYWHERE.get(host, host), port


def ask(host: str, port: int) -> tuple[bool, str]:
    """Whether the agent works, and what it says."""
    with closing(http.client.HTTPConnection(host, port, timeout=_PATIENCE)) as connection:
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            return answer.status == 200, answer.read(1024).decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException) as exc:
            return False, f"no answer at port {port}: {type(exc).__name__}"


if __name__ == "__main__":
    sys.exit(main(os.environ))  # noqa: TID251  # a program, if a small one
