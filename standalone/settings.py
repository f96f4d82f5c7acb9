"""The command line of the stand-alone proxy."""

import argparse
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from broker.policy import Policy
from edge.settings import SettingsError, read_count, read_duration

LOOPBACK: Final = "127.0.0.1"

_NEEDS_OPEN: Final = (
    "--open: not given. This proxy cannot protect itself yet: with --open, whoever reaches its port can use every "
    "backend, and can serve as one. Say --open if that is what you want; it listens on this machine alone, unless "
    "--host says otherwise"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to listen, and how long to wait for what."""

    host: str
    port: int
    policy: Policy
    stop_wait: timedelta
    """How long requests under way may take to finish when the proxy stops."""

    @property
    def is_reachable_from_elsewhere(self) -> bool:
        """True where other machines can connect."""
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> "Settings":
        """Raises `SettingsError`, and `SystemExit` for `--help` and for what is not a flag."""
        flags = vars(_parser().parse_args(arguments))
        if not flags.pop("--open"):
            raise SettingsError(_NEEDS_OPEN)
        default = Policy()
        response_wait = read_duration(flags, "--response-timeout", default.response_wait)
        return cls(
            host=flags["--host"],
            port=_read_port(flags["--port"]),
            policy=Policy(
                response_wait=response_wait,
                idle_wait=read_duration(flags, "--idle-timeout", default.idle_wait),
                fetch_wait=min(default.fetch_wait, response_wait),
                max_body_bytes=read_count(flags, "--max-body-bytes", default.max_body_bytes),
            ),
            stop_wait=read_duration(flags, "--graceful-shutdown-timeout", timedelta(seconds=8)),
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m standalone", description="The stand-alone inverting proxy.", allow_abbrev=False
    )

    def flag(name: str, metavar: str, default: str, text: str) -> None:
        parser.add_argument(name, dest=name, metavar=metavar, default=default, help=text)

    flag("--host", "ADDRESS", LOOPBACK, f"where to listen; {LOOPBACK} is this machine alone (default: %(default)s)")
    flag("--port", "NUMBER", "8080", "0 picks a free one, and prints it (default: %(default)s)")
    parser.add_argument(
        "--open", dest="--open", action="store_true", help="no passwords: everybody is a user, everybody an agent"
    )
    flag("--response-timeout", "TIME", "30s", "from a request to the first byte of its answer (default: %(default)s)")
    flag("--idle-timeout", "TIME", "30s", "the longest silence within a body (default: %(default)s)")
    flag("--max-body-bytes", "N", str(Policy().max_body_bytes), "the longest request body (default: %(default)s)")
    flag("--graceful-shutdown-timeout", "TIME", "8s", "for requests under way, when stopped (default: %(default)s)")
    return parser


def _read_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise SettingsError(f"--port: is {text[:80]!r}, but must be a number from 0 to 65535")
    return int(text)
