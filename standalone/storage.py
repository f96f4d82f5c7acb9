"""Where registrations are kept: in the database that settings name, beside those that stand in the settings."""

from broker.registrations import Forgotten, Registrations, WithFixed
from edge.settings import SettingsError
from standalone.settings.load import Settings


def open_registrations(settings: Settings) -> Registrations:
    """The registrations that outlive this process; the database is made where there is none. The caller
    closes them. Raises `SettingsError`."""
    fixed = [each.backend() for each in settings.backends]
    return WithFixed(fixed, _open_database(settings)) if fixed else _open_database(settings)


def check_database(settings: Settings) -> None:
    """Raises `SettingsError` for a database that `open_registrations` could not use; changes nothing."""
    path = settings.storage.database
    if path is None:
        return
    from stores.sqlite.registrations import require_usable
    from stores.sqlite.schema import UnusableDatabase

    try:
        require_usable(path)
    except UnusableDatabase as exc:
        raise SettingsError(f"storage.database: {path} {exc}") from exc


def _open_database(settings: Settings) -> Registrations:
    path = settings.storage.database
    if path is None:
        return Forgotten()
    # Not imported where nothing is kept.
    from stores.sqlite.registrations import SqliteRegistrations
    from stores.sqlite.schema import UnusableDatabase

    try:
        registrations = SqliteRegistrations(path)
        try:
            registrations.load()
        except UnusableDatabase:
            registrations.close()
            raise
        return registrations
    except UnusableDatabase as exc:
        raise SettingsError(f"storage.database: {path} {exc}") from exc
