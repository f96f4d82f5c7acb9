"""What has to be there first: free ports, environments; and whether a page comes through a proxy on loopback yet."""

import http.client
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from scripts.children import ROOT

_ERROR_FIELD: Final = "X-Inverting-Proxy-Error"

_NO_AGENT_YET: Final = ("no-backend", "no-agent")


class NotReady(Exception):
    """Something is in the way of a start; the text says what, and what to do."""


def parse_port(text: str, *, count: int = 1) -> int:
    """A port, with `count - 1` more behind it. Raises `NotReady`."""
    highest = 65536 - count
    if text.isascii() and text.isdigit() and 0 < int(text) <= highest:
        return int(text)
    raise NotReady(f"PORT is {text!r}, and not a number from 1 to {highest}.")


def require_free(port: int, *, how: str) -> None:
    """Raises `NotReady`, which names the port and says `how` to choose another."""
    with socket.socket() as probe:
        # As servers do: an old connection in TIME_WAIT is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise NotReady(f"Port {port} cannot be used ({exc.strerror}). {how}") from exc


def require_environment(name: str) -> str:
    """The Python of an environment that `make` has made. Raises `NotReady`."""
    python = ROOT / ".venv" / name / "bin" / "python"
    if not python.exists():
        raise NotReady(f"There is no environment {name} yet: make .venv/{name}/.installed")
    return str(python)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a GET; `reason` is empty when a backend made it, and names what failed when a backend did
    not."""

    status: int
    reason: str


def ask(port: int, *, timeout: float = 2.0) -> Answer | None:
    """The answer of a server on loopback to `GET /`; None while nothing listens. Raises `TimeoutError`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/", headers={"Accept": "text/html"})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers.get(_ERROR_FIELD, ""))
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_up(port: int, *, timeout: float = 2.0) -> bool:
    """True when a server on this port answers, whatever it says."""
    with suppress(TimeoutError):
        return ask(port, timeout=timeout) is not None
    return False


def is_answered(port: int, *, timeout: float = 2.0) -> bool:
    """True when a backend behind the proxy on this port answers."""
    with suppress(TimeoutError):
        answer = ask(port, timeout=timeout)
        return answer is not None and answer.status == 200 and not answer.reason
    return False


def is_carried(port: int, *, timeout: float = 2.0) -> bool:
    """True when an agent carries requests from the proxy on this port to a backend, whatever that one answers."""
    try:
        answer = ask(port, timeout=timeout)
    except TimeoutError:
        return True  # without an agent the proxy would have said so at once: the backend takes its time
    return answer is not None and answer.reason not in _NO_AGENT_YET
