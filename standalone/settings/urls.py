"""Keys about OpenID providers, which several tables have."""

from edge.settings import SettingsError
from standalone.identity.origins import is_safe_url
from standalone.settings.keys import Key, file
from standalone.settings.table import Table


def _parse_issuer(given: str) -> str:
    if given and not is_safe_url(given):
        raise ValueError("not a URL that is safe")
    return given


def provider_keys(help: str) -> tuple[Key, Key]:
    """`oidc-issuer` and `oidc-ca-file`."""
    return (
        Key(
            name="oidc-issuer",
            default="",
            expects="an https:// URL, exactly as the provider writes its issuer",
            help=help,
            parse=_parse_issuer,
        ),
        file("oidc-ca-file", "The authorities (PEM) that sign the provider's certificate; without it the usual ones."),
    )


def require_pair(table: Table, *names: str) -> None:
    """Raises `SettingsError` where one of some keys is given and another is not."""
    given = {name: bool(getattr(table, name.replace("-", "_"))) for name in names}
    missing = [name for name, is_given in given.items() if not is_given]
    if missing and len(missing) < len(names):
        one = next(name for name, is_given in given.items() if is_given)
        raise SettingsError(f"{table.NAME}.{missing[0]}: is not set, but must be, with {table.NAME}.{one}")
