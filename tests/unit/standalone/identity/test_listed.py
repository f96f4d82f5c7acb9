"""`standalone.identity.listed`: who may come in."""

import pytest

from standalone.identity.listed import may_sign_in


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ({"allUsers"}, True),
        ({"ada@example.org"}, True),
        ({"@example.org"}, True),
        ({"@example.com", "eve@example.org"}, False),
        ({"@org"}, False),
        (set(), False),
    ],
)
def test_who_may_sign_in_is_listed(allowed: set[str], expected: bool) -> None:
    assert may_sign_in("Ada@example.org", frozenset(allowed)) is expected


def test_a_name_without_a_domain_is_in_none() -> None:
    assert not may_sign_in("ada", frozenset({"@", "@ada", ""}))
