"""Content-Security-Policy and X-Frame-Options, changed as little as possible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.html.policies import (
    Policy,
    allowing_connections_home,
    allowing_frames_at_home,
    allowing_script,
    changing_policies,
    hash_source,
)
from wire.headers import Headers

HASH = hash_source(b"script")

SCRIPTS = [
    ("img-src 'none'", "img-src 'none'"),
    ("", ""),
    ("script-src 'self'", f"script-src 'self' {HASH}"),
    ("script-src", f"script-src {HASH}"),
    ("SCRIPT-SRC 'NONE'; img-src *", f"script-src {HASH}; img-src *"),
    ("script-src 'none' ; img-src *;", f"script-src {HASH}; img-src *;"),
    ("default-src 'none'", f"default-src 'none'; script-src {HASH}"),
    ("default-src 'self' 'unsafe-eval';", f"default-src 'self' 'unsafe-eval'; script-src 'self' 'unsafe-eval' {HASH}"),
    ("default-src 'none'; script-src 'self'", f"default-src 'none'; script-src 'self' {HASH}"),
    ("script-src *; script-src-elem 'self'", f"script-src *; script-src-elem 'self' {HASH}"),
    ("script-src 'self'; script-src 'unsafe-inline'", f"script-src 'self' {HASH}; script-src 'unsafe-inline'"),
    ("script-src 'unsafe-inline'", "script-src 'unsafe-inline'"),
    ("default-src * 'UNSAFE-INLINE'", "default-src * 'UNSAFE-INLINE'"),
    ("script-src 'unsafe-inline' 'nonce-a'", f"script-src 'unsafe-inline' 'nonce-a' {HASH}"),
    ("script-src 'unsafe-inline' 'SHA512-a='", f"script-src 'unsafe-inline' 'SHA512-a=' {HASH}"),
    ("script-src 'unsafe-inline' 'strict-dynamic'", f"script-src 'unsafe-inline' 'strict-dynamic' {HASH}"),
    (f"script-src\t{HASH}", f"script-src\t{HASH}"),
    ("sandbox; require-trusted-types-for 'script'", "sandbox; require-trusted-types-for 'script'"),
    ("script-src a, default-src b", f"script-src a {HASH}, default-src b; script-src b {HASH}"),
]  # fmt: skip


def changed(text: str, change: object, name: str = "Content-Security-Policy") -> str:
    [(_, value)] = changing_policies(Headers([(name, text)]), change)  # type: ignore[arg-type]
    return value


@pytest.mark.parametrize(("before", "after"), SCRIPTS)
def test_a_policy_lets_one_script_run_and_stays_else(before: str, after: str) -> None:
    assert changed(before, lambda policy: allowing_script(policy, HASH)) == after


CONNECTIONS = [
    ("script-src 'self'", "script-src 'self'"),
    ("connect-src wss://a.example", "connect-src wss://a.example 'self'"),
    ("connect-src 'none'", "connect-src 'self'"),
    ("default-src 'none'", "default-src 'none'; connect-src 'self'"),
    ("default-src 'Self' b.example", "default-src 'Self' b.example"),
    ("default-src 'none'; connect-src *", "default-src 'none'; connect-src *"),
]


@pytest.mark.parametrize(("before", "after"), CONNECTIONS)
def test_a_policy_lets_scripts_call_where_the_page_came_from(before: str, after: str) -> None:
    assert changed(before, allowing_connections_home) == after


def test_policies_that_only_report_are_changed_too_and_no_other_field_is() -> None:
    change = "script-src 'self'"
    assert HASH in changed(change, lambda policy: allowing_script(policy, HASH), "content-security-policy-Report-Only")
    assert changed(change, lambda policy: allowing_script(policy, HASH), "X-Other") == change


@given(st.text("ab-' ;,\t", max_size=40))
def test_a_policy_that_needs_no_change_keeps_every_byte(text: str) -> None:
    assert str(Policy(text)) == text
    assert changed(text, lambda policy: allowing_script(policy, HASH)) == text


FRAMES = [
    ("X-Frame-Options", "DENY", "SAMEORIGIN"),
    ("x-frame-options", "deny, SAMEORIGIN", "SAMEORIGIN, SAMEORIGIN"),
    ("X-Frame-Options", "sameorigin", "sameorigin"),
    ("X-Frame-Options", "ALLOW-FROM https://a.example", "ALLOW-FROM https://a.example"),
    ("Content-Security-Policy", "frame-ancestors 'none'; img-src *", "frame-ancestors 'self'; img-src *"),
    ("Content-Security-Policy", "frame-ancestors", "frame-ancestors 'self'"),
    ("Content-Security-Policy", "frame-ancestors https://a.example", "frame-ancestors https://a.example 'self'"),
    ("Content-Security-Policy", "frame-ancestors 'self'", "frame-ancestors 'self'"),
    ("Content-Security-Policy", "default-src 'none'", "default-src 'none'"),
]


@pytest.mark.parametrize(("name", "before", "after"), FRAMES)
def test_a_page_of_the_same_origin_may_frame_and_nobody_gains(name: str, before: str, after: str) -> None:
    assert list(allowing_frames_at_home(Headers([(name, before), ("X-Other", "DENY")]))) == [
        (name, after),
        ("X-Other", "DENY"),
    ]
