"""The backends as processes: the peer that records and misbehaves, and httpbin."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.system.processes import Process, environment, interpreter


@dataclass(frozen=True, slots=True)
class Note:
    """One request that reached the peer; `method` is `BROKEN` for bytes that were none."""

    connection: int
    method: str
    target: str
    id: str
    time: float


class Peer:
    """`tests.system.peers`, and what it noted."""

    def __init__(self, folder: Path, *, name: str = "peer", port: int = 0) -> None:
        self._notes = folder / f"{name}.notes"
        argv = [interpreter("peers"), "-m", "tests.system.peers", str(self._notes), str(port)]
        self.process = Process(name, argv, log=folder / f"{name}.log")
        self.url = self.process.wait_for_url()

    def notes(self) -> list[Note]:
        """Every request so far, in order of arrival."""
        with self._notes.open("rb") as lines:
            return [Note(**json.loads(line)) for line in lines if line.endswith(b"\n")]

    def notes_of(self, test_id: str) -> list[Note]:
        """The requests whose `X-Test-Id` begins so."""
        return [note for note in self.notes() if note.id.startswith(test_id)]

    def stop(self) -> None:
        self.process.stop()


class Httpbin:
    """httpbin under gunicorn."""

    def __init__(self, folder: Path) -> None:
        gunicorn = environment("peers") / "bin" / "gunicorn"
        server = ["--bind=127.0.0.1:0", "--threads=8", "--keep-alive=30", "--no-control-socket"]
        self.process = Process("httpbin", [str(gunicorn), *server, "httpbin:app"], log=folder / "httpbin.log")
        self.url = self.process.wait_for_url()

    def stop(self) -> None:
        self.process.stop()
