"""A request target arrives byte for byte, or is refused: never decoded, cleaned or redirected (row 22 of the table)."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.system.rawhttp import Connection, Disconnected, Reply, get, request_bytes
from tests.system.shapes import Site

VISIBLE: Final = [chr(code) for code in range(0x21, 0x7F)]

_ODD: Final = """
/ // /// //a /a//b /a/ /a// /./ /. /.. /../ /a/./b /a/../b /a/.. /%2e /%2E%2e/ /a/%2e%2e/b /%2F /a%2Fb /a%2fb /%5C
/%00 /%0a /%0d%0a /%20 /a%20b /a+b /%25 /%2525 /%zz /% /%4 /%u20ac /%E2%82%AC /%e2%82%ac /%ff%fe /%C0%AF /%7Euser
/~user /a;p=1 /a;p=1/b;q=2 /;jsessionid=1 /a? /? /?? /?a /?a= /?=a /?a&b /?&&& /?a=%22 /?a=%26b=1 /?a=1&a=2 /?a=1;b=2
/?a[]=1 /?q='x' /?q="x" /?q=<x> /?url=http://example.com/a?b=c /?a=/../ /?a=//b /?%00 /?%E2%82%AC /?a+b /?a%20b /??
/a?b?c /a:b /a@b /@a /user:pass@host/ /:80 /a=b /a,b /a!b /a$b /a*b /a(b) /'a' /a&b /a|b /a^b /a`b /{a} /[a] /a\\b
/..%2f..%2fetc /..;/a /.;/a /a/.%2e/b /.git/config /favicon.ico /index.html /_ah/x /_next/a /api/x /api/kernels
/agents /agent/ /agent/x /agent/pendingx /agent/requests /%61gent/pending /Agent/pending //agent/pending
/agent//pending /./agent/pending /cron/x
"""

TARGETS: Final = [
    *_ODD.split(),
    *[f"/a{character}b" for character in VISIBLE],
    *[f"/?a{character}b" for character in VISIBLE],
    *[f"/%{code:02x}" for code in range(0, 256, 7)],
    "/" + "a" * 8000,
    "/?" + "b" * 16000,
]

# What may be refused with 400 instead: fragments do not travel (RFC 9112 section 3.2), and a server in front of a WSGI
# application may refuse what no URL may contain (RFC 3986 appendix A).
MAY_BE_REFUSED: Final = frozenset('#"<>\\^`{|}')


def ask_all(site: Site, targets: list[str]) -> list[tuple[str, Reply]]:
    with Connection(site.url) as connection:
        pairs = []
        for target in targets:
            connection.send(request_bytes("GET", target, host=connection.host))
            pairs.append((target, connection.read_reply()))
        return pairs


def wrong(target: str, reply: Reply) -> tuple[str, int, bytes] | None:
    if reply.status == 200 and json.loads(reply.body)["target"] == target:
        return None
    if reply.status == 400 and MAY_BE_REFUSED & set(target):
        return None
    return target, reply.status, reply.body[:200]


def test_three_hundred_targets_arrive_as_they_were_sent(site: Site) -> None:
    fragile = [target for target in TARGETS if MAY_BE_REFUSED & set(target)]
    robust = [target for target in TARGETS if not MAY_BE_REFUSED & set(target)]
    with ThreadPoolExecutor(4) as pool:
        replies = [pair for part in pool.map(ask_all, [site] * 4, [robust[n::4] for n in range(4)]) for pair in part]
    # A refusal may end the connection.
    replies += [(target, get(site.url, target)) for target in fragile]

    assert len(replies) > 300
    assert [fault for target, reply in replies if (fault := wrong(target, reply))] == []


def test_the_asterisk_arrives_or_is_refused(site: Site) -> None:
    with Connection(site.url) as connection:
        connection.send(request_bytes("OPTIONS", "*", host=connection.host))
        reply = connection.read_reply("OPTIONS")

    assert reply.status == 400 or json.loads(reply.body)["target"] == "*"


def test_an_absolute_target_leads_to_no_other_host(site: Site) -> None:
    with Connection(site.url) as connection:
        connection.send(request_bytes("GET", "http://127.0.0.1:1/elsewhere?x", host=connection.host))
        try:
            reply = connection.read_reply()
        except Disconnected:
            return

    seen = json.loads(reply.body)
    assert seen["target"] == "/elsewhere?x"
    assert [value for name, value in seen["fields"] if name.lower() == "host"] == ["127.0.0.1:1"]


def test_a_target_over_the_limit_is_refused_by_name(site: Site) -> None:
    with Connection(site.url) as connection:
        connection.send_as_far_as_taken(request_bytes("GET", "/" + "a" * 70_000, host=connection.host))
        reply = connection.read_reply()

    assert reply.status in (400, 414, 431)
