"""The vendor's Datastore emulator (part of the Google Cloud CLI, in Java) as a child process, for tests and `make`.

It listens on loopback and keeps its data in memory: each start is an empty database.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_STARTER: Final = Path("platform/cloud-datastore-emulator/cloud_datastore_emulator")
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_HINT: Final = "install it with `gcloud components install cloud-datastore-emulator`; it needs Java"


class EmulatorMissing(RuntimeError):
    """There is no emulator on this machine, or no Java to run it; the text says what to install."""


class DatastoreEmulator:
    """One emulator, running from `start` (or `with`) to `stop`.

    It behaves as new projects do: Firestore in Datastore mode, where every read is strongly consistent. With
    `legacy_consistency`, a share from 0 to 1, it is the older Datastore, where queries without an ancestor see that
    share of the writes at once and the rest later.
    """

    def __init__(self, *, port: int = 0, legacy_consistency: float | None = None) -> None:
        self.port = port or _free_port()
        self._mode = (
            "--firestore_in_datastore_mode" if legacy_consistency is None else f"--consistency={legacy_consistency}"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def host(self) -> str:
        """What `DATASTORE_EMULATOR_HOST` has to say."""
        return f"127.0.0.1:{self.port}"

    def start(self, *, timeout: float = 60.0) -> None:
        """Return when it answers. Raises `EmulatorMissing`, or `RuntimeError` with its log when it does not start."""
        command = find_starter()
        self._folder = tempfile.TemporaryDirectory(prefix="datastore-emulator-")
        log = Path(self._folder.name, "log")
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    str(command),
                    "start",
                    "--host=127.0.0.1",
                    f"--port={self.port}",
                    "--store_on_disk=False",
                    self._mode,
                    str(Path(self._folder.name, "data")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(errors="replace")
                self.stop()
                raise RuntimeError(f"the Datastore emulator did not start:\n{text}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with _OPENER.open(f"http://{self.host}/", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """End it and all it started; nothing happens when it does not run."""
        if self._process is not None:
            _end_group(self._process)
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def find_starter() -> Path:
    """The emulator's start script: beside the `gcloud` on the PATH. Raises `EmulatorMissing`."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise EmulatorMissing("there is no gcloud on the PATH; the Datastore emulator is one of its components")
    if shutil.which("java") is None:
        raise EmulatorMissing(f"there is no java on the PATH for the Datastore emulator: {_HINT}")
    starter = Path(gcloud).resolve().parent.parent / _STARTER
    if not starter.is_file():
        raise EmulatorMissing(f"no Datastore emulator beside {gcloud}: {_HINT}")
    return starter


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """The start script is a shell with Java as its child, both in one process group. Nothing is worth a slow end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
