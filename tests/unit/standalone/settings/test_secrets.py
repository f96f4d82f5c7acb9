"""`standalone.settings.secrets`: files that settings name are read with them."""

from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.settings.secrets import parse_secret, require_file, watch


def refuse(text: str) -> str:
    raise ValueError("line 1: bad")


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    require_file("t.k", None, str, max_bytes=9)

    assert watch("t.k", tmp_path / "f", str, max_bytes=9).value == "x"


def test_one_that_cannot_be_used_is_told_with_its_key_its_path_and_why(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(SettingsError, match=f"^t.k: {tmp_path}/f: line 1: bad$"):
        require_file("t.k", tmp_path / "f", refuse, max_bytes=9)
    with pytest.raises(SettingsError, match=f"^t.k: {tmp_path}/g: cannot be read: No such file or directory$"):
        require_file("t.k", tmp_path / "g", str, max_bytes=9)


def test_a_secret_is_alone_in_its_file() -> None:
    assert parse_secret(" secret/with+signs \n") == "secret/with+signs"
    for text in ("", "\n", "one\ntwo", "\xe4"):
        with pytest.raises(ValueError, match="^one line with the secret was expected$"):
            parse_secret(text)
