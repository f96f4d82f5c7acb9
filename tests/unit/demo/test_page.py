import json
import re
from dataclasses import replace

from demo.page import Arrived, render_json, render_page

ARRIVED = Arrived(
    method="POST",
    target="/a//b?q=%22",
    headers=(("Host", "example.com"), ("X-Twice", "1"), ("X-Twice", "2")),
    body_bytes=1234567,
    body_sha256="ab" * 32,
)


def page_of(arrived: Arrived) -> str:
    page, _ = render_page(arrived)
    return page.decode("utf-8")


def test_a_program_gets_everything_that_arrived_with_repeated_fields_apart() -> None:
    assert json.loads(render_json(ARRIVED)) == {
        "method": "POST",
        "target": "/a//b?q=%22",
        "user": "",
        "headers": [["Host", "example.com"], ["X-Twice", "1"], ["X-Twice", "2"]],
        "body": {"bytes": 1234567, "sha256": "ab" * 32},
    }


def test_the_page_shows_method_target_size_and_every_field() -> None:
    page = page_of(ARRIVED)
    assert "<b>POST</b>/a//b?q=%22" in page
    assert "1,234,567 bytes" in page
    assert re.findall(r"<th scope=row>(.*?)</th><td>(.*?)</td>", page) == list(ARRIVED.headers)


def test_the_user_is_the_one_whom_the_proxy_names() -> None:
    arrived = replace(ARRIVED, headers=(("x-inverting-proxy-user-id", "ada@example.com"),))
    assert arrived.user == "ada@example.com"
    assert "<dd>ada@example.com</dd>" in page_of(arrived)


def test_the_page_says_when_nobody_is_signed_in() -> None:
    assert "<dd>nobody signed in</dd>" in page_of(ARRIVED)


def test_nothing_that_arrived_becomes_markup() -> None:
    evil = "<script>alert('1')</script>&\"$nonce"
    page = page_of(Arrived(evil, evil, ((evil, evil), ("x-inverting-proxy-user-id", evil)), 0, ""))
    assert page.count("<script") == 1
    assert page.count("&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&amp;&quot;$nonce") == 6


def test_only_the_script_of_the_template_may_run() -> None:
    page, policy = render_page(ARRIVED)
    (nonce,) = set(re.findall(r'nonce="([^"]+)"', page.decode("utf-8")))
    assert f"script-src 'nonce-{nonce}'" in policy
    assert policy.startswith("default-src 'none'")


def test_no_two_pages_share_a_nonce() -> None:
    _, first = render_page(ARRIVED)
    _, second = render_page(ARRIVED)
    assert first != second


def test_the_page_loads_nothing_from_elsewhere() -> None:
    links = re.findall(r"(?:src|href)=[\"']([^\"']*)", page_of(ARRIVED))
    assert [link for link in links if not link.startswith("data:")] == []
