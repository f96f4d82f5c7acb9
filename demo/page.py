"""What arrived, as a page for people and as JSON for programs."""

import html
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

_TEMPLATE: Final = Template(Path(__file__).with_name("page.html").read_text("utf-8"))

_USER_FIELD: Final = "x-inverting-proxy-user-id"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as the backend got it; `target` is the raw path and query, header fields in order."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body_bytes: int
    body_sha256: str

    @property
    def user(self) -> str:
        """The user's e-mail address as the proxy verified it, or empty."""
        return next((value for name, value in self.headers if name.lower() == _USER_FIELD), "")


def render_json(arrived: Arrived) -> bytes:
    """The request as a JSON object; header fields as a list of pairs, because names may repeat."""
    shown = {
        "method": arrived.method,
        "target": arrived.target,
        "user": arrived.user,
        "headers": arrived.headers,
        "body": {"bytes": arrived.body_bytes, "sha256": arrived.body_sha256},
    }
    return json.dumps(shown, indent=2).encode("ascii") + b"\n"


def render_page(arrived: Arrived) -> tuple[bytes, str]:
    """The request as a page, and the Content-Security-Policy it needs: nothing runs that is not in the template."""
    nonce = secrets.token_urlsafe(16)
    page = _TEMPLATE.substitute(
        nonce=nonce,
        method=html.escape(arrived.method),
        target=html.escape(arrived.target),
        user=html.escape(arrived.user) or "nobody signed in",
        body=f"{arrived.body_bytes:,} bytes" if arrived.body_bytes else "no body",
        count=len(arrived.headers),
        rows="\n".join(_row(name, value) for name, value in arrived.headers),
    )
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'"
    return page.encode("utf-8"), f"{policy}; img-src data:; base-uri 'none'; form-action 'self'"


def _row(name: str, value: str) -> str:
    return f"<tr><th scope=row>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
