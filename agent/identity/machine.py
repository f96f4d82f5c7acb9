"""Where this machine keeps its Google identity: folders, files and the metadata server."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.identity.metadata import DEFAULT_HOST

_PRODUCT_NAME: Final = Path("/sys/class/dmi/id/product_name")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleMachine:
    """The names are those that Google's own tools and libraries take."""

    gcloud_folder: Path
    gcloud_configuration: str = ""
    """The name of gcloud's active configuration; empty for the one that gcloud says itself."""
    gcloud_properties: Mapping[str, str]
    """Variables such as `CLOUDSDK_CORE_ACCOUNT`, which beat the configuration."""
    credentials_file: Path | None = None
    """`GOOGLE_APPLICATION_CREDENTIALS`."""
    metadata_host: str = DEFAULT_HOST
    may_have_metadata_server: bool = True
    """False where somebody said that there is none: `NO_GCE_CHECK=true`."""
    has_metadata_server: bool = False
    """True where somebody said so: then it is waited for."""
    product_name: Path = _PRODUCT_NAME
    """The file in which the firmware says what machine this is."""

    @property
    def well_known_file(self) -> Path:
        """Where `gcloud auth application-default login` writes."""
        return self.gcloud_folder / "application_default_credentials.json"
