"""`edge.audit`: one line for each change and each refusal."""

import logging

import pytest

from broker.errors import NotAllowed
from edge.audit import audit_line, log_change, log_refusal


def test_a_line_has_what_there_is_and_nothing_empty() -> None:
    assert audit_line("put-backend", by="boss@example.com", peer="", backend="b") == (
        "audit: put-backend by=boss@example.com backend=b"
    )


def test_what_comes_from_outside_stays_one_line_and_one_value() -> None:
    line = audit_line("sign-in", by='a\nb" c=d', peer="192.0.2.1")

    assert line == 'audit: sign-in by="a\\nb\' c=d" peer=192.0.2.1'


def test_a_change_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_change("delete-backend", by="boss", peer="192.0.2.1", backend="b")

    assert caplog.messages == ["audit: delete-backend by=boss peer=192.0.2.1 backend=b"]


@pytest.mark.parametrize(("authenticated", "reason"), [(True, "not-allowed"), (False, "not-authenticated")])
def test_a_refusal_is_a_warning_and_says_why(
    authenticated: bool, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    log_refusal("GET /api/backends", NotAllowed("no such token", authenticated=authenticated), peer="192.0.2.1")

    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", f'audit: GET /api/backends refused={reason} peer=192.0.2.1 because="no such token"')
    ]
