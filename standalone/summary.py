"""What `--check-config` says: where the proxy would listen, and who may do what."""

from standalone.settings.load import Settings


def summary_of(settings: Settings) -> str:
    """The settings in words, a line each; no secrets."""
    lines = [f"users and agents: {address}" for address in settings.listen.users]
    if settings.is_open:
        lines.append("OPEN: no passwords, for users or agents")
    return "\n".join(lines)
