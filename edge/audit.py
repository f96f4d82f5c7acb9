"""Who was let do what, and who was refused: one line each, for those who have to answer for a proxy.

What a line holds is names and addresses of callers, never a secret of theirs. Its logger has a name of its own, so that
the lines can be kept apart.
"""

import logging
from typing import Final

from broker.errors import NotAllowed
from edge.logs import escaped

logger: Final = logging.getLogger("inverting_proxy.audit")


def log_change(action: str, *, by: str, peer: str, **about: str) -> None:
    """Somebody has changed something."""
    logger.info("%s", audit_line(action, by=by, peer=peer, **about))


def log_refusal(action: str, refusal: NotAllowed, *, peer: str, **about: str) -> None:
    """Somebody wanted what he may not; `action` is what."""
    reason = "not-allowed" if refusal.authenticated else "not-authenticated"
    logger.warning("%s", audit_line(action, refused=reason, peer=peer, because=str(refusal), **about))


def audit_line(action: str, **words: str) -> str:
    """`audit: ACTION name=value …`, without the empty values; one with a space stands in quotes."""
    pairs = [f"{name}={_quoted(escaped(value))}" for name, value in words.items() if value]
    return " ".join(("audit:", escaped(action), *pairs))


def _quoted(value: str) -> str:
    if " " not in value and '"' not in value:
        return value
    return '"' + value.replace('"', "'") + '"'
