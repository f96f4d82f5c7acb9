"""Files with certificates that settings name."""

import ssl
from pathlib import Path

from edge.settings import SettingsError


def require_certificates(where: str, path: Path | None) -> None:
    """Raises `SettingsError`, which begins with `where`, for a file that cannot be read, or holds no certificate."""
    if path is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as exc:
        raise SettingsError(f"{where}: {path} has no certificate in it, but must (PEM)") from exc
    except OSError as exc:
        raise SettingsError(f"{where}: {path} cannot be read: {exc.strerror}") from exc
