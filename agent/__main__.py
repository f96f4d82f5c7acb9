"""The composition root of the agent: settings → clients → pipeline → poller; and what signals do.

Exit status: 0 after everything that ran was finished, 1 when that took too long or a second signal came, 2 for settings
that cannot be used.
"""

import logging
import os
import random
import secrets
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from agent.backend_client import BackendClient
from agent.commandline.flags import FlagError
from agent.endings import DRAINED, Endings
from agent.exchanges import Exchanges
from agent.identity.credentials import Combined, Credentials, NoCredentials, TokenFile
from agent.identity.vm import VmIdentity
from agent.pipeline import build_pipeline
from agent.poller import Poller
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.seen import SeenIds
from agent.settings import VERSION, Settings, SettingsRequest, load_settings
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool

logger = logging.getLogger("agent")

_SEEN_IDS: Final = 10_000
_CONNECT_SECONDS: Final = 10.0


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
        level=logging.DEBUG if settings.debug else logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    for library in ("urllib3", "google"):
        # What they write when debugging is theirs to choose: nothing that could hold a token gets out.
        logging.getLogger(library).setLevel(logging.INFO)
    endings = Endings()
    poller = build_poller(settings, on_drained=endings.report_drained)
    poller.start()
    logger.info("agent %s serves %s as backend %s of %s", VERSION, settings.host, settings.backend, settings.proxy)
    endings.wait()
    return drain(poller, endings, limit=settings.graceful_shutdown_timeout)


def build_poller(settings: Settings, *, on_drained: Callable[[], None]) -> Poller:
    """Everything that the settings ask for, put together; nothing is called yet."""
    # One connection for each exchange, and one for the poll.
    connections = settings.concurrency + 1
    proxy = ProxyClient(
        HttpClient(ConnectionPool(settings.proxy, size=connections, connect_timeout=_CONNECT_SECONDS)),
        url=settings.proxy,
        identity=AgentIdentity(settings.backend, secrets.token_urlsafe(16), f"inverting-proxy-agent/{VERSION}"),
        credentials=build_credentials(settings),
        poll_limit=settings.poll_limit,
        jitter=random.random,
        sleep=threading.Event().wait,
    )
    handler = build_pipeline(
        BackendClient(settings.host, connections=settings.concurrency, limit=settings.forwarding_limit),
        forwards_user_id=settings.forward_user_id,
        strips_credentials=settings.strip_credentials,
    )
    seen = SeenIds(_SEEN_IDS)
    return Poller(
        proxy.list_pending,
        Exchanges(proxy, handler, forget=seen.discard).run,
        seen=seen,
        concurrency=settings.concurrency,
        jitter=random.random,
        on_drained=on_drained,
    )


def build_credentials(settings: Settings) -> Credentials:
    """What `--credentials` names; with Google's also which VM this is."""
    if settings.credentials == "none":
        return NoCredentials()
    if settings.credentials != "google":
        return TokenFile(Path(settings.credentials.removeprefix("file:")))
    # google.auth takes a third of a second to import: only those pay who need it.
    from agent.identity.google import GoogleCredentials

    account = GoogleCredentials(settings.google)
    if settings.disable_gce_vm_header:
        return account
    return Combined(account, VmIdentity(settings.google.metadata_host, audience=settings.proxy, now=time.monotonic))


def drain(poller: Poller, endings: Endings, *, limit: timedelta) -> int:
    """Ask for no more, finish what runs; the exit status."""
    running = poller.stop()
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
