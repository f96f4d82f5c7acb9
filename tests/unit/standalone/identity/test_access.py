"""`standalone.identity.access`: the files that it watches."""

from pathlib import Path

import pytest

from standalone.identity.access import OPEN, Access
from standalone.identity.gate import open_gate
from standalone.identity.reception import PublicReception
from standalone.process.watched import WatchedFile


def test_its_files_are_looked_at_and_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_text("old")
    files = tuple(WatchedFile(path, str, max_bytes=10) for path in paths)
    access = Access(gate=open_gate, reception=PublicReception(), files=files)
    paths[1].write_text("new one")
    access.look()
    assert [file.value for file in files] == ["old", "new one"]
    caplog.set_level("INFO")
    access.read_again()

    assert len(caplog.messages) == 2


def test_only_what_is_called_open_is() -> None:
    assert (OPEN.is_open, OPEN.admin, Access(gate=open_gate, reception=PublicReception()).is_open) == (
        True,
        None,
        False,
    )
