"""`agent.pyz` unpacks to a folder that nobody but its user may write."""

import os
import tempfile
from pathlib import Path

import pytest

from scripts.pyz_start import NAME, find_root, is_usable


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files; and a user without a home."""
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_cache_of_the_user_comes_first(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(temporary / "home"))
    assert find_root() == str(temporary / "home" / ".cache" / NAME)
    monkeypatch.setenv("XDG_CACHE_HOME", str(temporary / "cache"))
    assert find_root() == str(temporary / "cache" / NAME)


def test_without_a_home_it_is_a_private_folder_among_the_temporary_ones(temporary: Path) -> None:
    root = Path(find_root())
    assert root.parent == temporary
    assert root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_folder_that_others_may_write_is_not_used(mode: int, tmp_path: Path) -> None:
    (place := tmp_path / "place").mkdir()
    place.chmod(mode)
    assert not is_usable(place)


def test_a_folder_behind_a_link_is_not_used(tmp_path: Path) -> None:
    (target := tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(target)
    assert is_usable(target)
    assert not is_usable(tmp_path / "link")


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place := tmp_path / "place").mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    assert not is_usable(place)


def test_no_place_at_all_ends_in_one_line(temporary: Path) -> None:
    (temporary / f"{NAME}-{os.getuid()}").write_text("in the way")
    with pytest.raises(SystemExit, match="set SHIV_ROOT"):
        find_root()
