"""What must hold before a deployment: each check says what is wrong and what to type."""

import re
from typing import Final

from scripts.children import ROOT
from scripts.gcloud import Gcloud, GcloudFailed
from scripts.readiness import NotReady

SERVICES: Final = ("app.yaml", "agent_service.yaml", "api_service.yaml")

_APIS: Final = ("appengine.googleapis.com", "cloudbuild.googleapis.com", "firestore.googleapis.com")


def check_all(gcloud: Gcloud) -> None:
    """Every check, in the order in which they build on each other. Raises `NotReady` for the first that fails."""
    for check in (
        _require_gcloud,
        _require_account,
        _require_project,
        _require_apis,
        _require_application,
        _require_database,
        _require_runtime,
    ):
        check(gcloud)


def active_account(gcloud: Gcloud) -> str:
    """The e-mail address that gcloud works as, or empty."""
    return gcloud.ask("auth", "list", "--filter=status:ACTIVE", "--format=value(account)")


def runtime() -> str:
    """The runtime that the yaml files name."""
    (name,) = {_runtime_in((ROOT / service).read_text("utf-8")) for service in SERVICES}
    return name


def _runtime_in(yaml: str) -> str:
    match = re.search(r"^runtime: *(\S+)$", yaml, re.MULTILINE)
    assert match is not None, "a service without a runtime"
    return match[1]


def _require_gcloud(gcloud: Gcloud) -> None:
    if not gcloud.is_installed():
        raise NotReady("There is no gcloud on the PATH. Install it: https://cloud.google.com/sdk/docs/install")


def _require_account(gcloud: Gcloud) -> None:
    if not active_account(gcloud):
        raise NotReady("gcloud is not logged in. Type: gcloud auth login")


def _require_project(gcloud: Gcloud) -> None:
    try:
        state = gcloud.ask("projects", "describe", gcloud.project, "--format=value(lifecycleState)")
    except GcloudFailed as exc:
        raise NotReady(
            f"The project {gcloud.project} cannot be reached as {active_account(gcloud)}: {exc}\n"
            f"Look for its ID: gcloud projects list. Or create it: gcloud projects create {gcloud.project}"
        ) from exc
    if state != "ACTIVE":
        raise NotReady(
            f"The project {gcloud.project} is {state}. Choose another, "
            f"or bring it back: gcloud projects undelete {gcloud.project}"
        )


def _require_apis(gcloud: Gcloud) -> None:
    enabled = gcloud.ask("services", "list", "--enabled", "--format=value(config.name)").split()
    missing = [name for name in _APIS if name not in enabled]
    if missing:
        raise NotReady(
            f"The project lacks {', '.join(missing)}. Type: "
            f"gcloud services enable {' '.join(missing)} --project={gcloud.project}\n"
            "(Cloud Build needs a billing account: gcloud billing projects link --help)"
        )


def _require_application(gcloud: Gcloud) -> None:
    try:
        status = gcloud.ask("app", "describe", "--format=value(servingStatus)")
    except GcloudFailed as exc:
        raise NotReady(
            f"The project has no App Engine application: {exc}\n"
            "Choose a region (gcloud app regions list); it cannot be changed later. "
            f"Type: gcloud app create --project={gcloud.project} --region=REGION"
        ) from exc
    if status != "SERVING":
        raise NotReady(
            f"The App Engine application is {status}. Enable it: "
            f"https://console.cloud.google.com/appengine/settings?project={gcloud.project}"
        )


def _require_database(gcloud: Gcloud) -> None:
    try:
        kind = gcloud.ask("firestore", "databases", "describe", "--database=(default)", "--format=value(type)")
    except GcloudFailed as exc:
        raise NotReady(
            f"The project has no default database: {exc}\n"
            "Choose the location nearest to App Engine's region (gcloud firestore locations list). Type: "
            f"gcloud firestore databases create --project={gcloud.project} --type=datastore-mode --location=LOCATION"
        ) from exc
    if kind != "DATASTORE_MODE":
        raise NotReady(
            f"The default database is in {kind} and must be in DATASTORE_MODE. If nobody needs it, type: "
            f"gcloud firestore databases delete --database='(default)' --project={gcloud.project}\n"
            f"and then: gcloud firestore databases create --project={gcloud.project} --type=datastore-mode "
            "--location=LOCATION\nOtherwise choose another project."
        )


def _require_runtime(gcloud: Gcloud) -> None:
    listed = gcloud.ask("app", "runtimes", "list", "--environment=standard", "--format=value(name)").split()
    if runtime() not in listed:
        pythons = ", ".join(sorted(name for name in listed if re.fullmatch(r"python3\d+", name)))
        raise NotReady(
            f"App Engine does not take the runtime {runtime()} any more. "
            f"Change `runtime:` in {', '.join(SERVICES)} to one of: {pythons}"
        )
