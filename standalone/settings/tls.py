"""[tls]: the certificate of the proxy."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edge.settings import SettingsError
from standalone.settings.keys import file
from standalone.settings.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings(Table):
    """Where the certificate is; None for no TLS."""

    certificate: Path | None
    key: Path | None
    """None for the one in the file of the certificate."""

    def check(self) -> None:
        if self.key is not None and self.certificate is None:
            raise SettingsError("tls.certificate: is missing, but must be a file that exists, beside tls.key")

    NAME: ClassVar = "tls"
    KEYS: ClassVar = (
        file(
            "certificate",
            "The certificate, and those between it and its authority (PEM): with it all addresses speak TLS but unix "
            "sockets and `http://`.",
        ),
        file(
            "key", "Its private key, without a password (PEM); without this key it is in the file of the certificate."
        ),
    )
