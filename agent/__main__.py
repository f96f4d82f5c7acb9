"""The agent as a program: settings → fleet → signals.

Exit status: 0 after everything that ran was finished, 1 when that took too long or a second signal came, 2 for settings
that cannot be used.
"""

import logging
import os
import sys
from datetime import timedelta
from functools import partial

from agent.commandline.flags import FlagError
from agent.composition import build_service
from agent.endings import DRAINED, Endings
from agent.fleet import Fleet
from agent.proxy.errors import UnusableCredentials
from agent.settings.load import VERSION, SettingsRequest, load_settings

logger = logging.getLogger("agent")


def main() -> int:
    try:
        settings = load_settings(sys.argv[1:], os.environ)
    except SettingsRequest as request:
        print(request)
        return 0
    except FlagError as error:
        print(f"agent: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(
        level=logging.DEBUG if settings.running.debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    for library in ("urllib3", "google"):
        # What they write when debugging is theirs to choose: nothing that could hold a token gets out.
        logging.getLogger(library).setLevel(logging.INFO)
    endings = Endings()
    try:
        fleet = Fleet(
            [partial(build_service, agent, settings.google) for agent in settings.agents],
            on_drained=endings.report_drained,
        )
    except UnusableCredentials as error:
        print(f"agent: {error}", file=sys.stderr)
        return 2
    fleet.start()
    for agent in settings.agents:
        logger.info(
            "agent %s serves %s as backend %s of %s",
            VERSION, agent.backend.host, agent.proxy.backend, agent.proxy.proxy,
        )  # fmt: skip
    endings.wait()
    return drain(fleet, endings, limit=settings.running.graceful_shutdown_timeout)


def drain(fleet: Fleet, endings: Endings, *, limit: timedelta) -> int:
    """Ask for no more, finish what runs; the exit status."""
    running = fleet.stop()
    logger.info("stopping: %d requests run, they have %g s", running, limit.total_seconds())
    if endings.wait(limit.total_seconds()) == DRAINED:
        logger.info("stopped")
        return 0
    logger.error("stopped with requests unfinished")
    logging.shutdown()
    # The threads of what is unfinished would keep the interpreter waiting.
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
