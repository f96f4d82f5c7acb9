"""[administrators]: how the proxy knows those who may call its API."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edge.identity import is_account
from standalone.identity.tokens import MAX_FILE_BYTES, parse_tokens
from standalone.settings.certificates import require_certificates
from standalone.settings.keys import Key, file, text
from standalone.settings.secrets import require_file
from standalone.settings.table import Table
from standalone.settings.urls import provider_keys, require_provider


def _parse_account(given: str) -> str:
    if not is_account(given):
        raise ValueError("not an account")
    return given.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministratorSettings(Table):
    """By which credentials administrators are known; without any there are none."""

    tokens: Path | None
    oidc_issuer: str
    oidc_ca_file: Path | None
    oidc_audience: str
    accounts: tuple[str, ...]

    @property
    def knows_anybody(self) -> bool:
        """False where nobody can be an administrator."""
        return bool(self.tokens or self.oidc_issuer)

    def check(self) -> None:
        require_provider(self, "oidc-audience", "accounts")
        require_certificates("administrators.oidc-ca-file", self.oidc_ca_file)
        require_file("administrators.tokens", self.tokens, parse_tokens, max_bytes=MAX_FILE_BYTES)

    NAME: ClassVar = "administrators"
    KEYS: ClassVar = (
        file("tokens", "Lists administrators' tokens, as [agents] does agents'; who has one may do all."),
        *provider_keys("Who signs the ID tokens of administrators: an OpenID provider, found by discovery."),
        text("oidc-audience", "", "The `aud` of these ID tokens."),
        Key(
            name="accounts",
            default="",
            expects="an e-mail address, or another name of an account",
            help="Who of that provider's accounts is an administrator.",
            parse=_parse_account,
            is_list=True,
        ),
    )
