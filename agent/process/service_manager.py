"""A word to systemd about where the agent stands (sd_notify(3)): for units of `Type=notify`."""

import logging
import socket

logger = logging.getLogger(__name__)

READY = "READY=1"
STOPPING = "STOPPING=1"


def notify(address: str, state: str) -> None:
    """Tell whoever listens at `address`, which is what `NOTIFY_SOCKET` says: a path, or an abstract name after `@`.

    Nothing happens when it is empty; a service manager that cannot be told is no reason to fail.
    """
    if not address:
        return
    name = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.settimeout(1)
            connection.connect(name)
            connection.send(state.encode("ascii"))
    except OSError as exc:
        logger.warning("the service manager could not be told %s: %s", state, exc.strerror or type(exc).__name__)
