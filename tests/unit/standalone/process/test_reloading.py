import os
from pathlib import Path

from standalone.process.reloading import WatchedFiles


class Reader:
    """Counts how often it was told to read."""

    def __init__(self, *paths: Path) -> None:
        self.count = 0
        self.files = WatchedFiles(paths, self._read)

    def _read(self) -> None:
        self.count += 1

    def look(self, times: int = 2) -> int:
        for _ in range(times):
            self.files.look()
        return self.count


def write(path: Path, text: str, *, at: int) -> None:
    path.write_text(text)
    os.utime(path, (at, at))


def test_what_does_not_change_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path / "a", "1", at=1)

    assert Reader(tmp_path / "a", tmp_path / "none").look(5) == 0


def test_what_has_changed_is_read_once_when_it_is_at_rest(tmp_path: Path) -> None:
    write(tmp_path / "a", "1", at=1)
    reader = Reader(tmp_path / "a", tmp_path / "b")
    write(tmp_path / "a", "2", at=2)
    assert reader.look(1) == 0
    write(tmp_path / "b", "2", at=2)
    assert reader.look(1) == 0

    assert reader.look(1) == 1
    assert reader.look(5) == 1


def test_a_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    for name in ("old", "new"):
        write(tmp_path / name, "1", at=1)
    (tmp_path / "live").symlink_to("old")
    reader = Reader(tmp_path / "live")
    (tmp_path / "live").unlink()
    (tmp_path / "live").symlink_to("new")

    assert reader.look() == 1


def test_what_vanishes_and_comes_back_is_a_change_and_no_fault(tmp_path: Path) -> None:
    write(tmp_path / "a", "1", at=1)
    reader = Reader(tmp_path / "a")
    (tmp_path / "a").unlink()
    assert reader.look() == 1
    write(tmp_path / "a", "2", at=2)

    assert reader.look() == 2


def test_it_can_be_read_at_once_and_not_again_then(tmp_path: Path) -> None:
    write(tmp_path / "a", "1", at=1)
    reader = Reader(tmp_path / "a")
    write(tmp_path / "a", "2", at=2)
    reader.files.reload()

    assert reader.look(5) == 1
