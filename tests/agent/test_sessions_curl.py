"""The jar of the agent beside the cookie engine of curl: the same visits, the same cookies.

Left out is what they are known to answer differently, where the agent follows browsers (`test_sessions_chromium`):
SameSite=None and Partitioned without Secure, cookies without a name, dates that are none, long ones, names that differ
in case alone, paths that are none, attributes that are repeated, `__Host-` without a
path, which curl takes for one with the path `/`.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.agent.cookie_site import Site, Visit, a_site, pairs, visited_with_our_jar
from tests.timing import SECOND

CURL = shutil.which("curl")

pytestmark = pytest.mark.skipif(CURL is None, reason="there is no curl: apt-get install curl")

HOSTS = ["example.test", "a.example.test", "b.a.example.test", "notexample.test", "me.github.io", "you.github.io"]
PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/A"]
DOMAINS = ["example.test", ".example.test", "A.Example.TEST", "b.a.example.test", "github.io", "me.github.io", "test"]


@pytest.fixture(scope="module")
def cookie_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def visited_with_curl(site: Site, visits: Sequence[Visit], folder: Path) -> list[list[str]]:
    """All visits in one run, whose cookies live as long as it does."""
    site.prepare(visits)
    urls = [f'url = "{site.url(number)}"\noutput = /dev/null' for number in range(len(visits))]
    options = ['cookie = ""', "insecure", "silent", "show-error", "path-as-is", f'resolve = "*:{site.port}:127.0.0.1"']
    config = folder / "curl.txt"
    config.write_text("\n".join([*options, *urls]))
    command = [str(CURL), "-q", "--noproxy", "*", "--config", str(config)]
    subprocess.run(command, check=True, timeout=60 * SECOND, capture_output=True)
    return site.cookies


def visited_with_ours(visits: Sequence[Visit]) -> list[list[str]]:
    return [pairs(cookies) for cookies in visited_with_our_jar(visits)]


ATTRIBUTES = st.one_of(
    st.sampled_from(["Secure", "HttpOnly", "secure", "SameSite=Strict", "samesite=lax", "x", "x=y", ""]),
    st.sampled_from(PATHS).map(lambda path: f"Path={path}"),
    st.just(" path = /a "),
    st.sampled_from(DOMAINS).map(lambda domain: f"Domain={domain}"),
    st.sampled_from(["60", "0", "-1", "99999999"]).map(lambda age: f"Max-Age={age}"),
    st.sampled_from(
        [
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Fri, 31 Dec 2100 23:59:59 GMT",
            "Friday, 31-Dec-60 23:59:59 GMT",
            "Fri Dec 31 23:59:59 2100",
            "Sat, 01-Jan-2000 00:00:00 GMT",
        ]
    ).map(lambda date: f"Expires={date}"),
)
SETS = st.tuples(
    st.sampled_from(["a", "b", "__Secure-c"]),
    st.sampled_from(["", "1", "2", "x=y", '"q"', "with space", "\xe4"]),
    st.lists(ATTRIBUTES, max_size=4, unique_by=lambda text: text.partition("=")[0].strip().lower()),
).map(lambda parts: "; ".join([f"{parts[0]}={parts[1]}", *parts[2]]))
VISITS = st.lists(
    st.builds(Visit, st.sampled_from(HOSTS), st.sampled_from(PATHS), st.lists(SETS, max_size=3)),
    min_size=1,
    max_size=4,
)


@given(VISITS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_visits_give_the_same_cookies(cookie_site: Site, tmp_path: Path, visits: list[Visit]) -> None:
    looks = [Visit(host, path) for host in HOSTS[:3] for path in ("/", "/a/b/c")]
    assert visited_with_ours([*visits, *looks]) == visited_with_curl(cookie_site, [*visits, *looks], tmp_path)
