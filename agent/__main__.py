"""The agent as a program: settings → fleet → endings.

Exit status: 0 after everything that ran was finished; 1 when it is to be started again: that took too long, a second
signal came, a loop died, or the backend became unhealthy (with `--exit-when-unhealthy`); 2 for settings that cannot be
used.
"""

import logging
import os
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.commandline.flags import FlagError
from agent.composition import build_service
from agent.identity.errors import UnusableCredentials
from agent.process import descriptors
from agent.process.allocation import GivingBack, c_library, share_one_heap
from agent.process.draining import drain
from agent.process.endings import DRAINED, FAILED, UNHEALTHY, Endings, log_deaths
from agent.process.fleet import Fleet
from agent.process.service_manager import READY, STOPPING, notify
from agent.service import Reports
from agent.settings.load import VERSION, Settings, SettingsRequest, load_settings
from agent.settings.monitoring import MonitoringSettings
from agent.telemetry import logs
from agent.telemetry.assembly import Telemetry
from agent.telemetry.monitoring import MonitoringError, Target, make_target
from agent.workers.command import WORKER

if TYPE_CHECKING:
    from agent.workers.team import Team

logger = logging.getLogger("agent")

LOOKING: Final = 1.0
"""Seconds."""


def main() -> int:
    if socket := os.environ.get(WORKER):
        from agent.workers import helper

        return helper.main(int(socket))
    try:
        settings = load_settings(sys.argv[1:], os.environ)
    except SettingsRequest as request:
        print(request)
        return 0
    except FlagError as error:
        return _refuse(str(error))
    logs.configure(settings.running.log_format, is_debugging=settings.running.debug)
    descriptors.allow_all()
    share_one_heap(c_library())
    log_deaths()
    endings = Endings()
    reports = Reports(
        drained=partial(endings.report, DRAINED),
        died=partial(endings.report, FAILED),
        unhealthy=partial(endings.report, UNHEALTHY),
    )
    try:
        fleet = build_fleet(settings, reports)
        telemetry = build_telemetry(settings, fleet)
    except UnusableCredentials as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename or '--status-port'}: {error.strerror}")
    telemetry.start()
    fleet.start()
    for agent in settings.agents:
        logger.info(
            "agent %s serves %s as backend %s of %s",
            VERSION, agent.backend.host, agent.proxy.backend, agent.proxy.proxy,
        )  # fmt: skip
    notify(os.environ.get("NOTIFY_SOCKET", ""), READY)
    ending = wait_for_ending(endings)
    notify(os.environ.get("NOTIFY_SOCKET", ""), STOPPING)
    if ending == FAILED:
        return give_up("a loop of the agent died: its error stands above", telemetry)
    if not drain(fleet, endings, limit=settings.running.graceful_shutdown_timeout):
        return give_up("stopped with requests unfinished", telemetry)
    if fleet.has_failed:
        return give_up("stopped with requests unfinished", telemetry)
    telemetry.stop()
    logger.info("stopped")
    return 1 if ending == UNHEALTHY else 0


def wait_for_ending(endings: Endings) -> int:
    """Look after the process until something ends it."""
    giving_back = GivingBack(c_library())
    while (ending := endings.wait(LOOKING)) is None:
        giving_back.look()
    return ending


def build_fleet(settings: Settings, reports: Reports) -> "Fleet | Team":
    """What serves, in one process or several. Raises `UnusableCredentials`, and `OSError` for files."""

    def build(reports: Reports) -> Fleet:
        return Fleet([partial(build_service, agent, settings.google) for agent in settings.agents], reports)

    if settings.workers == 1:
        return build(reports)
    from agent.workers.team import Team

    return Team(build, settings, reports, environment=os.environ)


def build_telemetry(settings: Settings, fleet: "Fleet | Team") -> Telemetry:
    """What the operator asked for. Raises `OSError` for an address that cannot be listened at."""
    return Telemetry(
        fleet.served,
        processes=fleet.processes,
        version=VERSION,
        status_address=settings.running.status_port,
        monitoring=monitoring_target(settings.monitoring),
        clock=lambda: datetime.now(UTC),
    )


def monitoring_target(settings: MonitoringSettings) -> Target | None:
    """Where counts go; None if nowhere, and if that cannot be said: the original goes on without them, so ours does."""
    if not settings.monitoring_project_id:
        return None
    try:
        return make_target(
            project_id=settings.monitoring_project_id,
            endpoint=settings.monitoring_endpoint,
            domain=settings.metric_domain,
            resource_type=settings.monitoring_resource_type,
            resource_labels=settings.monitoring_resource_labels,
        )
    except MonitoringError as error:
        logger.error("nothing is written to Cloud Monitoring: %s", error)
        return None


def _refuse(error: str) -> int:
    print(f"agent: {error}", file=sys.stderr)
    return 2


def give_up(why: str, telemetry: Telemetry) -> int:
    """End with status 1, and a few seconds for the last counts."""
    logger.error(why)
    try:
        telemetry.stop()
    finally:
        logging.shutdown()
        # The threads of what is unfinished would keep the interpreter waiting.
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
