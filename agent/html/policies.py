"""Content-Security-Policy and X-Frame-Options: read as browsers do, and changed as little as possible.

https://w3c.github.io/webappsec-csp/: a field holds policies, parted by commas; a policy holds directives, parted by
semicolons; of two directives of one name the first counts. All policies of an answer hold together, so each that stands
in the way is changed; and so are those that only report, which would report what nobody did. What needs no change is
not re-written.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Final

from wire.headers import Headers

_FIELDS: Final = ("content-security-policy", "content-security-policy-report-only")
_SPACES: Final = re.compile(r"[\t\n\f\r ]+")
_NONCE_OR_HASH: Final = re.compile(r"'(?:nonce|sha256|sha384|sha512)-[^']+'", re.IGNORECASE)

Change = Callable[["Policy"], None]


class Policy:
    """One policy, to be changed."""

    def __init__(self, text: str) -> None:
        self._directives = text.split(";")

    def __str__(self) -> str:
        return ";".join(self._directives)

    def sources(self, *names: str) -> tuple[str, list[str]] | None:
        """The first of these directives that the policy has: its name as asked for, and its source list."""
        for name in names:
            index = self._find(name)
            if index is not None:
                return name, _words(self._directives[index])[1:]
        return None

    def set_sources(self, name: str, sources: list[str]) -> None:
        """Give a directive this source list; a directive that is not there is added at the end."""
        index = self._find(name)
        text = " ".join((name, *sources))
        if index is not None:
            self._directives[index] = f" {text}" if index else text
            return
        if not self._directives[-1].strip():
            self._directives.pop()
        self._directives.append(f" {text}" if self._directives else text)

    def _find(self, name: str) -> int | None:
        for index, directive in enumerate(self._directives):
            words = _words(directive)
            if words and words[0].lower() == name:
                return index
        return None


def _words(directive: str) -> list[str]:
    return [word for word in _SPACES.split(directive) if word]


def changing_policies(headers: Headers, change: Change) -> Headers:
    """The fields, with every policy in them changed."""
    return Headers((name, _changed(value, change) if name.lower() in _FIELDS else value) for name, value in headers)


def _changed(value: str, change: Change) -> str:
    policies = [Policy(text) for text in value.split(",")]
    for policy in policies:
        if str(policy).strip():
            change(policy)
    return ",".join(str(policy) for policy in policies)


def hash_source(script: bytes) -> str:
    """What a policy calls a script that stands in a page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


def allowing_script(policy: Policy, source: str) -> None:
    """Let the script run that `source` (a hash) stands for, in an element of the page.

    A policy under which every script in the page runs (`'unsafe-inline'`) is left alone: with a hash in it, that word
    would no longer count. A hash never goes into `default-src`, which speaks of style sheets too.
    """
    found = policy.sources("script-src-elem", "script-src", "default-src")
    if found is None:
        return
    name, sources = found
    if source in sources or _runs_every_script(sources):
        return
    policy.set_sources("script-src" if name == "default-src" else name, [*_but_none(sources), source])


def allowing_connections_home(policy: Policy) -> None:
    """Let scripts of the page send requests to where the page came from."""
    found = policy.sources("connect-src", "default-src")
    if found is not None and not {"'self'", "*"} & {source.lower() for source in found[1]}:
        policy.set_sources("connect-src", [*_but_none(found[1]), "'self'"])


def allowing_frames_at_home(headers: Headers) -> Headers:
    """The fields, so that a page of the same origin may show this one in a frame. Nobody else may who could not before:
    `DENY` becomes `SAMEORIGIN`, and `frame-ancestors` without it gets `'self'`; both look at all pages above.
    """
    options = [
        (name, ", ".join("SAMEORIGIN" if part.strip().lower() == "deny" else part.strip() for part in value.split(",")))
        if name.lower() == "x-frame-options"
        else (name, value)
        for name, value in headers
    ]
    return changing_policies(Headers(options), _allow_frames_at_home)


def _allow_frames_at_home(policy: Policy) -> None:
    found = policy.sources("frame-ancestors")
    if found is not None and not {"'self'", "*"} & {source.lower() for source in found[1]}:
        policy.set_sources("frame-ancestors", [*_but_none(found[1]), "'self'"])


def _runs_every_script(sources: list[str]) -> bool:
    words = {source.lower() for source in sources}
    is_narrowed = "'strict-dynamic'" in words or any(_NONCE_OR_HASH.fullmatch(source) for source in sources)
    return "'unsafe-inline'" in words and not is_narrowed


def _but_none(sources: list[str]) -> list[str]:
    """`'none'` counts only where it stands alone."""
    return [source for source in sources if source.lower() != "'none'"]
