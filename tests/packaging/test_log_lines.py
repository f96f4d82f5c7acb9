"""Each line about credentials and the way to the proxy that an operator may read is explained where they look it up."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = [
    "redirects are not followed, --proxy must name the target",
    "the proxy answered with a page, not a list: is --proxy the agent service?",
    "it does not accept this agent's credentials for this backend",
    "is the right account active (`gcloud auth list`), and --oidc-audience what the proxy expects (OIDC_AUDIENCE)?",
    "with a token in a file: is it one that the proxy lists?",
    "is this agent's account the backendUser that the backend is registered with, and --backend its id?",
    "it is behind a login",
    "the outbound proxy of HTTP_PROXY wants",
    "is not the URL of an HTTP proxy",
    "the request broke off, and this proxy gives it only once",
    "no Google credentials on this machine: ",
    "gcloud's folder ",
    "the token file ",
    "does not hold a token",
    "it was refused: ",
    "is not whole, or has no usable key",
    "of a type that is not known here",
    "may the account create its tokens",
    "is a user, whose ID tokens are for ",
    "cannot get an ID token",
    "this machine has no service account",
    "is not a metadata server",
    "--oidc-audience asks Google for a token",
    "does not answer",
    "Google is not reached",
    "is not renewed yet (it has ",
]


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


SOURCE = "".join(path.read_text() for name in ("identity", "proxy") for path in (ROOT / "agent" / name).glob("*.py"))
DOCUMENT = words((ROOT / "docs" / "troubleshooting.md").read_text())


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_log_is_explained(line: str) -> None:
    assert (line in SOURCE, line in DOCUMENT) == (True, True)
