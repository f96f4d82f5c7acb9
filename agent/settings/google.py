"""What the variables of other tools say: where this machine keeps its Google identity, and its way out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.commandline.flags import FlagError
from agent.identity.machine import GoogleMachine
from agent.identity.metadata import DEFAULT_HOST
from agent.proxy.outbound import OutboundProxies

_GCLOUD_PROPERTY = "CLOUDSDK_"


@dataclass(frozen=True, slots=True)
class GoogleEnvironment:
    """Where this machine keeps its Google identity, and by which ways Google and the proxy are reached."""

    machine: GoogleMachine
    outbound: OutboundProxies
    """`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`."""
    ca_file: str | None
    """`REQUESTS_CA_BUNDLE`: the certificates to trust at Google's token services; None for the usual ones."""


def google_environment(environment: Mapping[str, str]) -> GoogleEnvironment:
    """Raises `FlagError`."""
    try:
        outbound = OutboundProxies.from_environment(environment)
    except ValueError as exc:
        raise FlagError(str(exc)) from None
    return GoogleEnvironment(_machine(environment), outbound, environment.get("REQUESTS_CA_BUNDLE") or None)


def _machine(environment: Mapping[str, str]) -> GoogleMachine:
    home = Path(environment.get("HOME") or "/")
    file = environment.get("GOOGLE_APPLICATION_CREDENTIALS")
    return GoogleMachine(
        gcloud_folder=Path(environment.get("CLOUDSDK_CONFIG") or home / ".config" / "gcloud"),
        gcloud_configuration=environment.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or "",
        gcloud_properties={
            name: value for name, value in environment.items() if value and name.startswith(_GCLOUD_PROPERTY)
        },
        credentials_file=Path(file) if file else None,
        metadata_host=environment.get("GCE_METADATA_HOST") or DEFAULT_HOST,
        may_have_metadata_server=environment.get("NO_GCE_CHECK") != "true",
        has_metadata_server=bool(environment.get("GCE_METADATA_HOST")),
    )
