"""`standalone.process.watched`: a file is read again when it changes, and a broken one changes nothing."""

import os
from pathlib import Path

import pytest

from standalone.process.watched import WatchedFile


def parse(text: str) -> str:
    if text.startswith("bad"):
        raise ValueError("line 1: bad")
    return text.strip()


def watched(path: Path) -> WatchedFile[str]:
    return WatchedFile(path, parse, max_bytes=20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("one")
    return path


def test_a_change_is_seen_at_the_next_look(path: Path) -> None:
    file = watched(path)
    path.write_text("another")
    before = file.value
    file.look()

    assert (before, file.value) == ("one", "another")


def test_a_file_put_in_its_place_is_seen_also_with_the_same_size_and_time(path: Path, tmp_path: Path) -> None:
    file = watched(path)
    (tmp_path / "new").write_text("two")
    status = path.stat()
    os.utime(tmp_path / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "new").rename(path)
    file.look()

    assert file.value == "two"


def test_what_is_asked_for_is_read_even_if_nothing_seems_to_have_changed(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = watched(path)
    caplog.set_level("INFO")
    file.look()
    file.read_again()

    assert caplog.messages == [f"{path}: read again"]


@pytest.mark.parametrize(
    ("data", "reason"), [(b"bad", "line 1: bad"), (b"\xff", "not UTF-8"), (b"x" * 21, "longer than 20 bytes")]
)
def test_what_cannot_be_used_changes_nothing_and_is_told_once(
    data: bytes, reason: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = watched(path)
    path.write_bytes(data)
    for _ in range(3):
        file.read_again()

    assert file.value == "one"
    assert caplog.messages == [f"{path}: {reason} (what was read before stays in force)"]


def test_a_file_that_has_gone_changes_nothing_until_it_is_back(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = watched(path)
    path.unlink()
    file.look()
    file.look()
    assert caplog.messages == [f"{path}: No such file or directory (what was read before stays in force)"]
    path.write_text("back")
    file.look()

    assert file.value == "back"


def test_at_first_it_has_to_be_good(path: Path) -> None:
    path.write_text("bad")
    with pytest.raises(ValueError, match=f"{path}: line 1: bad"):
        watched(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        watched(path)
