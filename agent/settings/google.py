"""Where this machine keeps its Google identity: said by the variables of Google's own tools."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GoogleEnvironment:
    """Where this machine keeps its Google identity."""

    gcloud_folder: Path
    gcloud_configuration: str
    """The name of gcloud's active configuration; empty for the one that gcloud says itself."""
    metadata_host: str


def google_environment(environment: Mapping[str, str]) -> GoogleEnvironment:
    home = Path(environment.get("HOME") or "/")
    return GoogleEnvironment(
        gcloud_folder=Path(environment.get("CLOUDSDK_CONFIG") or home / ".config" / "gcloud"),
        gcloud_configuration=environment.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or "",
        metadata_host=environment.get("GCE_METADATA_HOST") or "169.254.169.254",
    )
