"""`standalone.settings.certificates`."""

from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.settings.certificates import require_certificates
from tests.agent.certificates import Authority


def test_a_file_with_certificates_is_taken(tmp_path: Path) -> None:
    require_certificates("x.ca-file", Authority(tmp_path).issue("proxy.example"))
    require_certificates("x.ca-file", None)


def test_another_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="^x.ca-file: .*/none cannot be read: No such file or directory$"):
        require_certificates("x.ca-file", tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(SettingsError, match=r"^x.ca-file: .*/empty has no certificate in it, but must \(PEM\)$"):
        require_certificates("x.ca-file", tmp_path / "empty")
