"""[agents]: how the proxy knows an agent, whose account a backend names."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from standalone.identity.tokens import MAX_FILE_BYTES, parse_tokens
from standalone.settings.certificates import require_certificates
from standalone.settings.keys import file, text
from standalone.settings.secrets import require_file
from standalone.settings.table import Table
from standalone.settings.urls import provider_keys, require_provider


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings(Table):
    """By which credentials agents are known: one way, or both."""

    tokens: Path | None
    oidc_issuer: str
    oidc_ca_file: Path | None
    oidc_audience: str

    @property
    def knows_anybody(self) -> bool:
        """False where no agent could serve."""
        return bool(self.tokens or self.oidc_issuer)

    def check(self) -> None:
        require_provider(self, "oidc-audience")
        require_certificates("agents.oidc-ca-file", self.oidc_ca_file)
        require_file("agents.tokens", self.tokens, parse_tokens, max_bytes=MAX_FILE_BYTES)

    NAME: ClassVar = "agents"
    KEYS: ClassVar = (
        file(
            "tokens", "Lists the agents' tokens; `python -m standalone.tokens` writes it. Read again when it changes."
        ),
        *provider_keys("Who signs the ID tokens of agents: an OpenID provider, found by discovery."),
        text("oidc-audience", "", "The `aud` of these ID tokens: what `--oidc-audience` of the agents says."),
    )
