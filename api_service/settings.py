"""What the environment says to the service for administrators."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.settings import Deployment, read_switch


@dataclass(frozen=True, slots=True)
class Settings:
    """What the services share, and what the sweep may remove."""

    deployment: Deployment
    deletes_stale_backends: bool

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises `SettingsError`."""
        return cls(Deployment.from_env(environ), read_switch(environ, "DELETE_STALE_BACKENDS"))
