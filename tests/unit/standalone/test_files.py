from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.files import Files, open_files
from standalone.process.reloading import WatchedFiles
from standalone.settings.load import Settings, load_settings
from tests.agent.certificates import Authority


def settings(certificate: Path | None = None) -> Settings:
    return load_settings(["--open"], {"INVERTING_PROXY_TLS_CERTIFICATE": str(certificate or "")})


def test_without_settings_there_is_nothing_to_read() -> None:
    assert open_files(settings()) == Files(None, ())


def test_a_certificate_is_read_and_watched(tmp_path: Path) -> None:
    path = Authority(tmp_path).issue("proxy.example")
    files = open_files(settings(path))

    assert files.certificate is not None
    assert (files.certificate.files, len(files.watched)) == ((path,), 1)


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "pem").touch()

    with pytest.raises(SettingsError, match="^tls.certificate: .*pem has no certificate in it"):
        open_files(settings(tmp_path / "pem"))


def test_all_of_them_are_read_again_when_they_have_changed_or_when_told(tmp_path: Path) -> None:
    read: list[str] = []
    watched = tuple(
        WatchedFiles([tmp_path / name], lambda name=name: read.append(name))  # type: ignore[misc]
        for name in ("a", "b")
    )
    files = Files(None, watched)
    (tmp_path / "b").touch()
    files.look()
    files.look()
    assert read == ["b"]

    files.reload()
    assert read == ["b", "a", "b"]
