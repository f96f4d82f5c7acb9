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
            expects="an https:// URL (http:// on this machine), exactly as the provider writes its issuer",
            help=help,
            parse=_parse_issuer,
        ),
        file("oidc-ca-file", "The authorities (PEM) that sign the provider's certificate; without it the usual ones."),
    )


def require_provider(table: Table, *needed: str) -> None:
    """Raises `SettingsError` where `oidc-issuer` lacks a key that it needs, or one about it is given without it."""
    has_issuer = table.says("oidc-issuer")
    for name in needed:
        if has_issuer and not table.says(name):
            raise SettingsError(f"{table.NAME}.{name}: is not set, but must be, with {table.NAME}.oidc-issuer")
    for name in (*needed, "oidc-ca-file"):
        if table.says(name) and not has_issuer:
            raise SettingsError(f"{table.NAME}.oidc-issuer: is not set, but must be, with {table.NAME}.{name}")
