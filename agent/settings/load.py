"""Where settings come from, and which of them wins: default < environment < file < command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.commandline.flags import Flag, FlagError, Given, describe, parse_values, read_arguments, read_environment
from agent.settings import backend, banner, health, monitoring, proxy, running, sessions, websockets
from agent.settings.cores import usable_cores
from agent.settings.file import ConfigFile, read_config
from agent.settings.google import GoogleEnvironment, google_environment

VERSION: Final = "0.1.0"

USAGE: Final = """\
usage: python -m agent --proxy=URL --backend=ID [--host=HOST:PORT] [flags]
       python -m agent --config=agents.toml [flags]

Asks the proxy for the requests of its users, has the backend answer them, and posts the answers back.

Flags are written --name=value or --name value, with one dash or two, and booleans also --name. Each can be given by
its environment name instead, or in the file of --config under its own; the command line wins, then the file."""


class SettingsRequest(Exception):
    """The command line asks for a text (`--help`, `--version`) and not for an agent."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What the agent was told about one backend and its proxy."""

    proxy: proxy.ProxySettings
    backend: backend.BackendSettings
    websockets: websockets.WebsocketSettings
    sessions: sessions.SessionSettings
    banner: banner.BannerSettings
    health: health.HealthSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """What the agent was told."""

    agents: tuple[AgentSettings, ...]
    """One for each backend, at least one."""
    workers: int
    """Processes that may serve, this one included."""
    running: running.RunningSettings
    monitoring: monitoring.MonitoringSettings
    google: GoogleEnvironment


_CONFIG: Final = Flag(
    "config", "", "a file", "Read settings, also those of several backends, from this file (TOML).", str
)

BACKEND_GROUPS: Final[Mapping[str, tuple[Flag, ...]]] = {
    "The proxy": proxy.FLAGS,
    "The backend": backend.FLAGS,
    "Websockets": websockets.FLAGS,
    "Sessions": sessions.FLAGS,
    "Banner": banner.FLAGS,
    "Health": health.FLAGS,
}
PROCESS_GROUPS: Final[Mapping[str, tuple[Flag, ...]]] = {
    "Running": (_CONFIG, *running.FLAGS),
    "Cloud Monitoring": monitoring.FLAGS,
}

_BACKEND_FLAGS: Final = tuple(flag for group in BACKEND_GROUPS.values() for flag in group)
_PROCESS_FLAGS: Final = tuple(flag for group in PROCESS_GROUPS.values() for flag in group)
FLAGS: Final = (*_BACKEND_FLAGS, *_PROCESS_FLAGS)

_MOST_WORKERS: Final = 4
"""As many as are started without being asked for: each takes 45 MB."""

_ONE_BACKENDS: Final = ("backend", "host", "path-map")
"""What cannot be the same for several backends."""


def load_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """The settings that arguments, environment and the file that they name give.

    Raises `FlagError` with one line for the operator, `SettingsRequest` for `--help` and `--version`.
    """
    if {"-h", "-help", "--help"} & set(arguments):
        raise SettingsRequest(f"{USAGE}\n{describe({**BACKEND_GROUPS, **PROCESS_GROUPS})}")
    if {"-version", "--version"} & set(arguments):
        raise SettingsRequest(f"inverting-proxy agent {VERSION}")
    surroundings = read_environment(FLAGS, backend.with_host(environment))
    spoken = read_arguments(FLAGS, arguments)
    config = _read_file((surroundings | spoken).get(_CONFIG.name))
    values = parse_values(_PROCESS_FLAGS, {**surroundings, **config.common, **spoken})
    agents = _agents(surroundings, config, spoken)
    about_running = running.RunningSettings.of(values)
    return Settings(
        agents=agents,
        workers=_workers(about_running.workers, agents),
        running=about_running,
        monitoring=monitoring.MonitoringSettings.of(values),
        google=google_environment(environment),
    )


def _read_file(given: Given | None) -> ConfigFile:
    if given is None or not given.text:
        return ConfigFile({}, [])
    without_itself = [flag for flag in _PROCESS_FLAGS if flag is not _CONFIG]
    return read_config(Path(given.text), process=without_itself, backend=_BACKEND_FLAGS)


def _agents(
    surroundings: Mapping[str, Given], config: ConfigFile, spoken: Mapping[str, Given]
) -> tuple[AgentSettings, ...]:
    if config.backends:
        for name in _ONE_BACKENDS:
            if name in spoken:
                raise FlagError(f"--{name} is given: expected it in the file of --config, which lists the backends")
    agents = tuple(_agent({**surroundings, **config.common, **own, **spoken}) for own in config.backends or [{}])
    places = [(agent.proxy.proxy.rstrip("/"), agent.proxy.backend) for agent in agents]
    for url, backend_id in places:
        if places.count((url, backend_id)) > 1:
            raise FlagError(f"backend {backend_id!r} of {url} stands twice in the file of --config: expected it once")
    return agents


def _workers(asked: int | None, agents: Sequence[AgentSettings]) -> int:
    kept = [flag for agent in agents for flag in _flags_of_state(agent)]
    if asked is None:
        return 1 if kept else min(usable_cores(), _MOST_WORKERS)
    if asked > 1 and kept:
        raise FlagError(f"--workers is {asked}: expected 1 with --{kept[0]}, which keeps what it knows in one process")
    return asked


def _flags_of_state(agent: AgentSettings) -> list[str]:
    """The flags that make one process of an agent know what another one does not."""
    shim = "shim-websockets" if agent.websockets.shim_websockets else "shim-path"
    flags = {shim: agent.websockets.path, "session-cookie-name": agent.sessions.session_cookie_name}
    return [flag for flag, value in flags.items() if value]


def _agent(given: Mapping[str, Given]) -> AgentSettings:
    values = parse_values(_BACKEND_FLAGS, given)
    return AgentSettings(
        proxy=proxy.ProxySettings.of(values),
        backend=backend.BackendSettings.of(values),
        websockets=websockets.WebsocketSettings.of(values),
        sessions=sessions.SessionSettings.of(values),
        banner=banner.BannerSettings.of(values),
        health=health.HealthSettings.of(values),
    )
