"""The pages about signing out, and the answers that lead away. Pure."""

from html import escape
from typing import Final
from urllib.parse import urlsplit

from wire.headers import Headers

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 38rem; margin: 15vh auto 0; padding: 0 1.5rem }}
h1 {{ font-size: 1.6rem }} button {{ font: inherit; padding: 0.3rem 1rem }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""

_SIGN_OUT: Final = """<p>You are signed in as {user}.</p>
<form method="post" action="{action}">
<input type="hidden" name="token" value="{token}">
<button>Sign out</button>
</form>"""

_SIGNED_OUT: Final = """<p>You are signed out of this proxy.</p>
<p><a href="/">Sign in again</a></p>"""


def redirect_fields(location: str) -> Headers:
    """The fields of an answer that sends a browser elsewhere, without telling there where it comes from."""
    return Headers([("Location", location), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")])


def sign_out_page(*, user: str, action: str, token: str, leads_to: str) -> tuple[Headers, bytes]:
    """The page that asks whether to sign out; `leads_to` is the URL at the provider where its form may end, or empty.

    Chromium applies `form-action` to where a form is redirected, too.
    """
    parts = urlsplit(leads_to)
    target = f" {parts.scheme}://{parts.netloc}" if leads_to else ""
    body = _SIGN_OUT.format(user=escape(user), action=escape(action), token=escape(token))
    return _fields(f"'self'{target}"), _PAGE.format(title="Sign out?", body=body).encode()


def signed_out_page() -> tuple[Headers, bytes]:
    """The page behind that."""
    return _fields("'none'"), _PAGE.format(title="Signed out", body=_SIGNED_OUT).encode()


def _fields(form_action: str) -> Headers:
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {form_action}"
    )
    return Headers(
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            # `no-referrer` would make `null` of the origin that the form comes from.
            ("Referrer-Policy", "same-origin"),
            ("Content-Security-Policy", policy),
        ]
    )
