"""`make run-appengine`: the three App Engine services over the vendor's Datastore emulator, a demo backend, an agent.

Each service is started by the entrypoint of its yaml file, as App Engine does it; only who is who is another matter
(`IDENTITY=dev`), and they listen on loopback alone, because that identity believes everybody. The backend is registered
as the README's curl line does it.
"""

import argparse
import http.client
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from google.appengine.api import appinfo

from scripts.children import ROOT, Child, ChildDied, Children, Stopped
from scripts.emulator import DatastoreEmulator, EmulatorMissing
from scripts.readiness import NotReady, is_answered, is_up, parse_port, require_environment, require_free
from scripts.run import BACKEND_ID, start_agent, start_demo

SERVICES: Final = ("app.yaml", "agent_service.yaml", "api_service.yaml")
"""In the order of their ports, from the one that is asked for on."""

USER: Final = "user@example.com"
AGENT: Final = "agent@example.com"
ADMIN: Final = "admin@example.com"

INSTALLATION: Final = """\
Google Cloud CLI:    https://cloud.google.com/sdk/docs/install
Datastore emulator:  gcloud components install cloud-datastore-emulator
Java:                apt-get install default-jre-headless, brew install openjdk, or the like"""


def run(port: int) -> None:
    """Start all, say where, and watch until asked to stop.

    Raises `NotReady`, `EmulatorMissing`, `ChildDied`, `TimeoutError`.
    """
    ports = range(port, port + len(SERVICES))
    for each in ports:
        require_free(each, how=f"Three in a row are needed. Choose others: make run-appengine PORT={port + 10}")
    # From the first block on no signal interrupts anything; the last one ends the services before their emulator.
    with Children() as children, DatastoreEmulator() as emulator, TemporaryDirectory() as folder, closing(children):
        try:
            _start_all(children, ports, datastore=emulator.host, token=Path(folder, "token"))
        except Stopped:
            return
        print(
            f"For users            http://127.0.0.1:{ports[0]}/ (Ctrl-C stops)\n"
            f"For agents           http://127.0.0.1:{ports[1]}\n"
            f'For administrators   http://127.0.0.1:{ports[2]}/api/backends with "Authorization: Bearer dev:{ADMIN}"',
            flush=True,
        )
        children.watch()


def _start_all(children: Children, ports: Sequence[int], *, datastore: str, token: Path) -> None:
    users, *_ = [
        start_service(children, service, port=port, datastore=datastore)
        for service, port in zip(SERVICES, ports, strict=True)
    ]
    children.wait_until(lambda: all(is_up(port) for port in ports), what="one of the services", timeout=60)
    register_backend(ports[2])
    token.write_text(f"dev:{AGENT}", "ascii")
    start_agent(
        children,
        require_environment("agent"),
        proxy=f"http://127.0.0.1:{ports[1]}",
        backend_url=start_demo(children, sys.executable),
        credentials=f"file:{token}",
    )
    with users.muted():
        children.wait_until(lambda: is_answered(ports[0]), what="the demo page", timeout=60)


def start_service(children: Children, yaml: str, *, port: int, datastore: str) -> Child:
    """Start one service by its yaml file: entrypoint and variables, and in place of Google what is local."""
    info = appinfo.LoadSingleAppInfo((ROOT / yaml).read_text("utf-8"))
    local = {
        "PORT": str(port),
        "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{port} --graceful-timeout=1",
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "IDENTITY": "dev",
        "DEV_END_USER": USER,
        "ADMINS": ADMIN,
        "GOOGLE_CLOUD_PROJECT": "local",
        "DATASTORE_EMULATOR_HOST": datastore,
    }
    name = f"{info.service or 'default'} service"
    return children.start(name, ["/bin/sh", "-c", info.entrypoint], {**(info.env_variables or {}), **local})


def register_backend(port: int) -> None:
    """What the README does with curl, form type and all. Raises `NotReady` when the API refuses."""
    record = {"id": BACKEND_ID, "endUser": "allUsers", "backendUser": AGENT, "pathPrefixes": ["/"]}
    fields = {"Authorization": f"Bearer dev:{ADMIN}", "Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/api/backends", json.dumps(record), fields)
        answer = connection.getresponse()
        if answer.status != 200:
            raise NotReady(f"The API refused the demo backend: {answer.status} {answer.read()!r}")
    finally:
        connection.close()


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="make run-appengine", description=__doc__, add_help=False)
    parser.add_argument("--port", default="8080")
    try:
        run(parse_port(parser.parse_args(arguments).port, count=len(SERVICES)))
    except EmulatorMissing as exc:
        print(f"{exc}\n{INSTALLATION}", file=sys.stderr)
        return 1
    except (NotReady, ChildDied, TimeoutError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
