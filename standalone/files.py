"""What settings name as files: opened at the start, and read again on SIGHUP and when they change."""

from dataclasses import dataclass

from standalone.connections.tls import Certificate
from standalone.process.reloading import WatchedFiles
from standalone.settings.load import Settings


@dataclass(frozen=True, slots=True)
class Files:
    """What is read from files."""

    certificate: Certificate | None
    watched: tuple[WatchedFiles, ...]

    def look(self) -> None:
        """Read what has changed; to be called every second or so."""
        for files in self.watched:
            files.look()

    def reload(self) -> None:
        """Read all of them again."""
        for files in self.watched:
            files.reload()


def open_files(settings: Settings) -> Files:
    """The files that settings name. Raises `SettingsError` for one that cannot be used."""
    watched = []
    certificate = None
    if settings.tls.certificate is not None:
        certificate = Certificate(settings.tls.certificate, settings.tls.key)
        watched.append(WatchedFiles(certificate.files, certificate.reload))
    return Files(certificate, tuple(watched))
