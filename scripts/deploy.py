"""`make deploy`: three services, dispatch rules, cron, indexes, TTL policies, in the order that App Engine asks for.

Before the first command everything is checked that would make a later one fail; afterwards come the real host names,
whose region is only known then, and the next commands to type.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Final

from scripts.gcloud import Gcloud, GcloudFailed
from scripts.preflight import active_account, check_all
from scripts.readiness import NotReady

# A new application takes no service before the default one, and no dispatch rule or cron job for a service unknown.
STEPS: Final = (
    ("app.yaml",),
    ("agent_service.yaml", "api_service.yaml"),
    ("dispatch.yaml", "cron.yaml", "index.yaml"),
)

EXPIRING_KINDS: Final = ("exchange", "requestPart", "answerPart", "lostPoll")
"""Kinds whose entities Datastore itself removes some time after their `expires`: the net beneath the sweep."""

_BACKEND_ID: Final = "my-backend"


def deploy(gcloud: Gcloud, *, is_dry_run: bool) -> None:
    """Check, deploy, and say what comes next. Raises `NotReady`, `GcloudFailed`."""
    if not is_dry_run:
        check_all(gcloud)
    for files in STEPS:
        gcloud.run("app", "deploy", *files)
    _set_time_to_live(gcloud)
    if is_dry_run:
        gcloud.run("app", "describe", "--format=value(defaultHostname)")
    else:
        host = gcloud.ask("app", "describe", "--format=value(defaultHostname)")
        print(next_steps(host, active_account(gcloud)))


def _set_time_to_live(gcloud: Gcloud) -> None:
    for kind in EXPIRING_KINDS:
        policy = ("firestore", "fields", "ttls", "update", "expires", f"--collection-group={kind}", "--enable-ttl")
        try:
            gcloud.run(*policy, "--async")
        except GcloudFailed as exc:
            print(f"{exc}\nThe proxy works without it: what is abandoned, the sweep removes alone.", file=sys.stderr)
            return


def next_steps(host: str, account: str) -> str:
    """The addresses of a deployed proxy, and how to put a first backend behind it.

    `host` is App Engine's default host name, such as `PROJECT.ew.r.appspot.com`: the region is part of it.
    """
    record = {"id": _BACKEND_ID, "endUser": account, "backendUser": account, "pathPrefixes": ["/"]}
    return f"""
Deployed.
  for users            https://{host}
  for agents           https://agent-dot-{host}
  for administrators   https://api-dot-{host}/api/backends

Register a backend, here one that only you may use and whose agent runs as you:
  curl -H "Authorization: Bearer $(gcloud auth print-access-token)" \\
    -d '{json.dumps(record)}' \\
    https://api-dot-{host}/api/backends

Run its agent beside your server, here one on port 8888:
  make .venv/agent/.installed
  .venv/agent/bin/python -m agent --proxy=https://agent-dot-{host} --backend={_BACKEND_ID} --host=localhost:8888

Then open https://{host}"""


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__, add_help=False)
    parser.add_argument("--project", default="")
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args(arguments)
    try:
        if not options.project:
            raise NotReady("PROJECT_ID is missing. Type: make deploy PROJECT_ID=your-project")
        deploy(Gcloud(options.project, is_dry_run=options.dry_run), is_dry_run=options.dry_run)
    except (NotReady, GcloudFailed) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
