"""The proxy's certificate: read at the start, and again when it changes.

TLS 1.2 and 1.3, with forward secrecy and authenticated encryption alone; HTTP/1.1 is what is spoken inside (ALPN).
"""

import logging
import ssl
from pathlib import Path
from typing import Final

from edge.settings import SettingsError
from standalone.settings.certificates import require_certificates

logger = logging.getLogger(__name__)

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of 1.3 are all good."""


class Certificate:
    """A certificate and its key. Connections that begin after `reload` get the new ones, others keep what they have."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """Raises `SettingsError` for files that cannot be used."""
        self._certificate = certificate
        self._key = key
        self._current = load_context(certificate, key)
        # What listeners hold for good. It asks with each handshake, whether the client names a server or not.
        self.context = load_context(certificate, key)
        self.context.sni_callback = self._choose

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is read from."""
        return (self._certificate, *([self._key] if self._key else []))

    def reload(self) -> None:
        """Read the files again; what cannot be used is logged and changes nothing."""
        try:
            self._current = load_context(self._certificate, self._key)
        except SettingsError as exc:
            logger.error("the certificate is the one from before: %s", exc)
        else:
            logger.info("the certificate was read again: %s", self._certificate)

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, server: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._current


def load_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """What a server needs for handshakes. Raises `SettingsError`, which names the file."""
    require_certificates("tls.certificate", certificate)
    _require_readable("tls.key", key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a function OpenSSL would ask on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as exc:
        raise _explain(exc, certificate, key) from exc
    return context


def _require_readable(name: str, path: Path | None) -> None:
    try:
        if path is not None:
            path.read_bytes()
    except OSError as exc:
        raise SettingsError(f"{name}: {path} cannot be read: {exc.strerror}") from exc


def _explain(exc: ssl.SSLError, certificate: Path, key: Path | None) -> SettingsError:
    if key is None and b"PRIVATE KEY-----" not in certificate.read_bytes():
        return SettingsError(f"tls.key: is not set, but must be: {certificate} has a certificate alone")
    where = f"tls.key: {key}" if key else f"tls.certificate: {certificate}"
    if exc.reason == "KEY_VALUES_MISMATCH":
        return SettingsError(f"{where} has the key of another certificate than {certificate}")
    reason = f": {exc.reason}" if exc.reason else ""
    return SettingsError(f"{where} has no key that can be used, but must (PEM, without a password){reason}")
