"""What the environment says to the service for agents."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.settings import Deployment


@dataclass(frozen=True, slots=True)
class Settings:
    """Nothing but what the services share."""

    deployment: Deployment

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises `SettingsError`."""
        return cls(Deployment.from_env(environ))
