"""`python -m standalone.tokens`: makes tokens, lists those that there are, and takes them back.

A token is shown once, when it is made; its file holds its hash. A proxy that runs notices the change by itself.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.clock import SystemClock
from edge.identity import is_account
from standalone.identity.tokens import Entry, TokenFileError, digest_of, is_name, new_token, parse_expiry, parse_tokens

_NEW_MODE: Final = 0o640


class CommandError(Exception):
    """What was asked for cannot be done; the text says why."""


def main(
    arguments: Sequence[str], *, now: datetime, write: Callable[[str], object], tell: Callable[[str], object]
) -> int:
    """The exit status: 0, or 1 with one line to `tell`. What programs read goes to `write`."""
    given = _parser().parse_args(arguments)
    path = Path(given.file)
    try:
        if given.command == "add":
            token = add(path, given.account, name=given.name, expires=given.expires)
            write(token)
            tell(f"{path}: has its hash; the token itself is shown this once")
        elif given.command == "revoke":
            count = revoke(path, given.account, name=given.name)
            tell(f"{path}: {count} {'token' if count == 1 else 'tokens'} fewer")
        else:
            for line in listing(path, now=now):
                write(line)
    except (CommandError, TokenFileError, OSError) as exc:
        reason = f"{path}: {exc.strerror}" if isinstance(exc, OSError) else str(exc)
        tell(reason if reason.startswith(str(path)) else f"{path}: {reason}")
        return 1
    return 0


def add(path: Path, account: str, *, name: str = "", expires: datetime | None = None) -> str:
    """A new token of an account, whose hash stands in the file then. Raises `CommandError`, `TokenFileError` and
    `OSError`."""
    if not is_account(account):
        raise CommandError(f"{account!r} is not an account: an e-mail address, or a name like build-7")
    text = _read(path)
    known = parse_tokens(text)
    if name and any((entry.account, entry.name) == (account.lower(), name) for entry in known):
        raise CommandError(f"{account} has a token of the name {name} already: revoke it, or choose another name")
    token = new_token()
    entry = Entry(account=account.lower(), digest=digest_of(token), name=name, expires=expires)
    _replace(path, f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{entry.line()}\n")
    return token


def revoke(path: Path, account: str, *, name: str = "") -> int:
    """Take back an account's tokens, or the one of a name; how many. Raises as `add` does."""
    lines = _read(path).splitlines()
    parse_tokens("\n".join(lines))  # what cannot be read is not written either
    kept = [line for line in lines if not _is_of(line, account.lower(), name)]
    if len(kept) == len(lines):
        raise CommandError(f"{account} has no such token")
    _replace(path, "".join(f"{line}\n" for line in kept))
    return len(lines) - len(kept)


def listing(path: Path, *, now: datetime) -> list[str]:
    """A line for each token: its account, the beginning of its hash, its name, its end."""
    if not path.exists():
        raise CommandError("no such file")
    return [_shown(entry, now) for entry in parse_tokens(_read(path))]


def _is_of(line: str, account: str, name: str) -> bool:
    return any(entry.account == account and name in ("", entry.name) for entry in parse_tokens(line))


def _shown(entry: Entry, now: datetime) -> str:
    words = entry.line().split()
    words[1] = words[1][:15] + "…"
    return " ".join(words) + ("" if entry.is_good(now) else " (over)")


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def _replace(path: Path, text: str) -> None:
    """Write a file anew, in one step, so that nobody reads half of it; mode and owner stay."""
    path = path.resolve()
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if path.exists():
                status = path.stat()
                os.fchmod(file.fileno(), status.st_mode & 0o777)
                if (status.st_uid, status.st_gid) != (os.getuid(), os.getgid()):
                    os.fchown(file.fileno(), status.st_uid, status.st_gid)
            else:
                os.fchmod(file.fileno(), _NEW_MODE)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m standalone.tokens", description="Tokens of agents and of administrators.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_ = commands.add_parser("add", help="make a token for an account, and print it")
    revoke_ = commands.add_parser("revoke", help="take back the tokens of an account, or one of them")
    list_ = commands.add_parser("list", help="print which tokens there are, but not the tokens")
    for command in (add_, revoke_, list_):
        command.add_argument("--file", required=True, metavar="FILE", help="what agents.tokens names in the settings")
    for command in (add_, revoke_):
        command.add_argument("account", metavar="ACCOUNT", help="an e-mail address, or a name: a backend's backendUser")
        command.add_argument("--name", default="", type=_name, metavar="WORD", help="which of the account's tokens")
    add_.add_argument("--expires", type=_expiry, metavar="DAY", help="from when on it is not good: 2027-01-31, in UTC")
    return parser


def _name(text: str) -> str:
    if text and not is_name(text):
        raise argparse.ArgumentTypeError("up to 64 letters, digits or any of ._- are expected")
    return text


def _expiry(text: str) -> datetime:
    try:
        return parse_expiry(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError("a day is expected, like 2027-01-31") from exc


if __name__ == "__main__":
    sys.exit(
        main(
            sys.argv[1:],
            now=SystemClock().now(),
            write=print,
            tell=lambda line: print(line, file=sys.stderr),
        )
    )
