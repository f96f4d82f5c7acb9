"""What wrk asks for, and what it says about the answers."""

import http.client
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.programs import find_program

_SCRIPT: Final = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of request: what is sent and how long the answer's body is, in bytes."""

    name: str
    title: str
    method: str
    target: str
    sends: int
    receives: int

    @property
    def is_large(self) -> bool:
        """True where bytes a second say more than requests a second."""
        return self.receives >= 2**20


GREETING: Final = "Hello, world!\n"

GET: Final = Load("get", "small GET", "GET", "/small", 0, len(GREETING))
POST: Final = Load("post", "10 KiB POST", "POST", "/post", 10 * 2**10, len(GREETING))
BIG: Final = Load("big", "1 MiB GET", "GET", "/big", 0, 2**20)

LOADS: Final = {load.name: load for load in (GET, POST, BIG)}

SLOW: Final = Load("slow", "GET that the backend answers after 2 s", "GET", "/slow", 0, len(GREETING))
LONG: Final = Load("long", "5 MB GET", "GET", "/long", 0, 5 * 10**6)

APPENGINE_LOADS: Final = {load.name: load for load in (GET, POST, LONG, SLOW)}
"""Those that are asked of the services."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the clients of one run saw: latencies in milliseconds, `megabytes` of 10⁶ bytes a second."""

    requests: int
    rate: float
    megabytes: float
    p50: float
    p90: float
    p99: float
    errors: int
    """Connections refused or broken, statuses over 399, answers that took longer than the time-out."""


def require_wrk() -> str:
    """The path of wrk. Raises `Missing`."""
    return find_program("wrk", package="wrk")


def ask(url: str, load: Load, *, clients: int, seconds: int, fields: tuple[str, ...] = ()) -> Answers:
    """Ask for so long with so many connections, each of which waits for its answer before it asks again."""
    command = [require_wrk(), f"-c{clients}", "-t1", f"-d{seconds}s", "--timeout=20s", f"-s{_SCRIPT}"]
    command += [f"-H{field}" for field in fields]
    command += [f"{url}{load.target}", "--", load.method, str(load.sends)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    said = json.loads(printed.strip().splitlines()[-1])
    return Answers(
        requests=said["requests"],
        rate=said["requests"] / said["seconds"],
        megabytes=said["bytes"] / said["seconds"] / 1e6,
        p50=said["p50"],
        p90=said["p90"],
        p99=said["p99"],
        errors=said["errors"],
    )


def is_answered(host: str, load: Load, fields: tuple[str, ...] = ()) -> bool:
    """True when one request is answered as it should be: what is measured must be the backend, not an error page."""
    connection = http.client.HTTPConnection(host, timeout=10)
    headers = dict(field.split(": ", 1) for field in fields)
    try:
        connection.request(load.method, load.target, body=b"x" * load.sends or None, headers=headers)
        answer = connection.getresponse()
        return answer.status == 200 and len(answer.read()) == load.receives
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
