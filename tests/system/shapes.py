"""The two shapes of the product behind one interface: the stand-alone proxy, and three services over Datastore."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import yaml

from tests.emulator import PROJECT
from tests.system.processes import ROOT, Process, free_port, interpreter, start_entrypoint
from tests.system.rawhttp import call, get
from tests.timing import MS, SECOND, wait_until

RESPONSE_TIMEOUT: Final = 10
IDLE_TIMEOUT: Final = 10
"""Seconds that both shapes are given, so that waiting for the end of patience does not take half a minute."""

END_USER: Final = "user@example.com"
AGENT: Final = "agent@example.com"
ADMIN: Final = "admin@example.com"

BODY_LIMIT: Final = 32_000_000
"""Of a request, in bytes: what App Engine takes, and the stand-alone proxy is told to take."""


class Shape(Protocol):
    """A running proxy."""

    name: str
    user: str
    """Whom the agent is told about: the end user's e-mail address, or empty for nobody."""

    @property
    def url(self) -> str:
        """The users' door."""
        ...

    @property
    def agent_url(self) -> str:
        """The agents' door."""
        ...

    @property
    def token(self) -> str:
        """What an agent says in `Authorization: Bearer`; empty where nobody asks."""
        ...

    def register(self, backend_id: str) -> None:
        """Make a backend known that serves everybody and every path."""
        ...

    def unregister(self, backend_id: str) -> None: ...

    def restart(self) -> None:
        """End what users and agents talk to, and start it again at the same addresses."""
        ...

    def stop(self) -> None: ...


class Standalone:
    """`python -m standalone --open`: backends make themselves known."""

    name = "standalone"
    user = ""
    token = ""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder = folder
        self._flags = flags
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = self._start()

    @property
    def agent_url(self) -> str:
        return self.url

    def _start(self) -> Process:
        port = self.url.rpartition(":")[2]
        timeouts = (f"--response-timeout={RESPONSE_TIMEOUT}s", f"--idle-timeout={IDLE_TIMEOUT}s")
        flags = ("--open", "--port", port, *timeouts, f"--max-body-bytes={BODY_LIMIT}", *self._flags)
        argv = [interpreter("standalone"), "-m", "standalone", *flags]
        process = Process("standalone", argv, log=self._folder / f"standalone-{port}.log")
        process.wait_for_url()
        return process

    def register(self, backend_id: str) -> None:
        """Nothing: a backend is known from its agent's first poll on."""

    def unregister(self, backend_id: str) -> None:
        """Nothing: it is known as long as the process lives."""

    def restart(self) -> None:
        self.process.stop()
        self.process = self._start()

    def stop(self) -> None:
        self.process.stop()


class _Service:
    """One App Engine service, started by the entrypoint of its yaml file."""

    def __init__(self, name: str, yaml_name: str, *, folder: Path, env: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._name = name
        described = yaml.safe_load((ROOT / yaml_name).read_text())
        self._command = described["entrypoint"]
        self._log = folder / f"{name}.log"
        # App Engine gives a port; loopback alone is our wish.
        here = {"PORT": str(self.port), "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{self.port}"}
        self._env = {**described["env_variables"], **env, **here}
        self.process = self._start()

    def _start(self) -> Process:
        return start_entrypoint(self._name, self._command, environment_name="appengine", log=self._log, env=self._env)

    def wait_until_ready(self) -> None:
        """Return when it answers; what, is no matter."""
        self.process.wait_for_url()
        get(self.url, "/")

    def stop(self) -> None:
        """At once: a gunicorn that is asked to stop waits for the open polls."""
        self.process.kill()

    def restart(self) -> None:
        self.stop()
        self.process = self._start()


class AppEngine:
    """Three gunicorn processes over the vendor's Datastore emulator."""

    name = "appengine"
    user = END_USER
    token = f"dev:{AGENT}"

    def __init__(self, folder: Path, *, reach: Callable[[str], str] = str, **settings: str) -> None:
        """`reach` says where the services find the emulator that is at `HOST:PORT`: there, or behind something."""
        emulator = [sys.executable, "-m", "tests.system.emulator"]
        self.emulator = Process("emulator", emulator, log=folder / "emulator.log", lives_while_open=True)
        self.datastore_host = self.emulator.wait_for_url().removeprefix("http://")
        env = {
            "IDENTITY": "dev",
            "DEV_END_USER": END_USER,
            "ADMINS": ADMIN,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "DATASTORE_EMULATOR_HOST": reach(self.datastore_host),
            "RESPONSE_TIMEOUT": f"{RESPONSE_TIMEOUT}s",
            "IDLE_TIMEOUT": f"{IDLE_TIMEOUT}s",
            "BACKENDS_AGE": "1s",  # tests come and go with their backends
        } | settings
        self._proxy = _Service("proxy_service", "app.yaml", folder=folder, env=env)
        self._agents = _Service("agent_service", "agent_service.yaml", folder=folder, env=env)
        self._api = _Service("api_service", "api_service.yaml", folder=folder, env=env)
        for service in self._services:
            service.wait_until_ready()

    @property
    def pids(self) -> list[int]:
        """Of the services for users, for agents and for administrators: of gunicorn's own process."""
        return [service.process.pid for service in self._services]

    @property
    def _services(self) -> Sequence[_Service]:
        return self._proxy, self._agents, self._api

    @property
    def parts(self) -> dict[str, Process]:
        """Its processes by name."""
        return {process.name: process for process in (*(each.process for each in self._services), self.emulator)}

    @property
    def url(self) -> str:
        return self._proxy.url

    @property
    def agent_url(self) -> str:
        return self._agents.url

    @property
    def api_url(self) -> str:
        return self._api.url

    def register(self, backend_id: str, *, prefix: str = "/") -> None:
        """As `curl -d` does it. With a `prefix` it serves the paths that begin so."""
        backend = {"id": backend_id, "backendUser": AGENT, "endUser": "allUsers", "pathPrefixes": [prefix]}
        form = ("Content-Type", "application/x-www-form-urlencoded")
        self._call_api("POST", "/api/backends", form, body=json.dumps(backend).encode())

    def unregister(self, backend_id: str) -> None:
        """Return when the proxy service has heard of it too: what it knows of backends may be a second old."""
        self._call_api("DELETE", f"/api/backends/{backend_id}")
        wait_until(self._has_no_backend, within=10 * SECOND, what=f"{backend_id} forgotten")

    def _has_no_backend(self) -> bool:
        try:
            return get(self.url, "/gone", timeout=300 * MS).reason == "no-backend"
        except TimeoutError:
            return False

    def _call_api(self, method: str, target: str, *fields: tuple[str, str], body: bytes | None = None) -> None:
        admin = ("Authorization", f"Bearer dev:{ADMIN}")
        reply = call(self.api_url, method, target, fields=[admin, *fields], body=body)
        if reply.status >= 300:
            raise RuntimeError(f"{method} {target}: {reply.status} {reply.body!r}")

    def restart(self) -> None:
        for service in (self._agents, self._proxy):
            service.restart()
        for service in (self._agents, self._proxy):
            service.wait_until_ready()

    def stop(self) -> None:
        for service in self._services:
            service.stop()
        self.emulator.stop()


class Site:
    """One backend behind a shape, and its agents."""

    def __init__(self, shape: Shape, backend_url: str, *, backend_id: str, folder: Path) -> None:
        self.shape = shape
        self.backend_id = backend_id
        self.agents: list[Process] = []
        self._backend_url = backend_url
        self._folder = folder
        shape.register(backend_id)

    @property
    def url(self) -> str:
        return self.shape.url

    def start_agent(self, *flags: str) -> Process:
        """One more agent; it is not waited for."""
        argv = [
            interpreter("agent"),
            "-m",
            "agent",
            f"--proxy={self.shape.agent_url}",
            f"--backend={self.backend_id}",
            f"--host={self._backend_url}",
            f"--credentials={self._credentials()}",
            *flags,
        ]
        agent = Process("agent", argv, log=self._folder / f"{self.backend_id}-agent{len(self.agents)}.log")
        self.agents.append(agent)
        return agent

    def _credentials(self) -> str:
        if not self.shape.token:
            return "none"
        token = self._folder / "token"
        token.write_text(f"{self.shape.token}\n")
        return f"file:{token}"

    def wait_until_online(self) -> None:
        """Return when a request gets as far as an agent."""

        def is_online() -> bool:
            for agent in self.agents[-1:]:
                agent.require_running()
            return get(self.url, "/online").reason not in ("no-agent", "no-backend")

        wait_until(is_online, within=20 * SECOND, what=f"an agent of {self.backend_id} online")

    def close(self) -> None:
        for agent in self.agents:
            agent.kill()
        self.shape.unregister(self.backend_id)
