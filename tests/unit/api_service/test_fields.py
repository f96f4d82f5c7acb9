"""What the fields of a backend must be; those of the original are in `test_schema`."""

import pytest

from api_service.fields import FIELDS


def is_valid(name: str, value: object) -> bool:
    return FIELDS[name].is_valid(value)


def test_a_name_and_two_accounts_are_required_and_all_else_may_be_left_out() -> None:
    required = [name for name, field in FIELDS.items() if field.is_required]

    assert required == ["id", "endUser", "backendUser"]


@pytest.mark.parametrize("right", [[], ["a.org"], ["A.org.", "*.b.org", "[::1]", "xn--bcher-kva.example"]])
def test_hosts_are_names_and_wildcards(right: object) -> None:
    assert is_valid("hosts", right)


@pytest.mark.parametrize(
    "wrong", ["a.org", [""], ["*"], ["a.org:80"], ["http://a.org"], ["b\xfccher.example"], [7], None, ["a"] * 101]
)
def test_hosts_are_nothing_else(wrong: object) -> None:
    assert not is_valid("hosts", wrong)


@pytest.mark.parametrize(
    ("value", "valid"),
    [("pull", True), ("standby", True), ("sticky", True), ("", False), ("PULL", False), (1, False), (["pull"], False)],
)
def test_agents_share_in_one_of_three_ways(value: object, valid: bool) -> None:
    assert is_valid("agents", value) == valid


@pytest.mark.parametrize("name", ["maxExchanges", "maxQueue"])
@pytest.mark.parametrize(
    ("value", "valid"),
    [(1, True), (10**6, True), (0, False), (-1, False), (10**6 + 1, False), (1.0, False), (True, False), ("1", False)],
)
def test_limits_are_whole_numbers_above_zero(name: str, value: object, valid: bool) -> None:
    assert is_valid(name, value) == valid


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ("websocket-shim", True),
        ("/a/b/", True),
        ("", False),
        ("..", False),
        ("a?b", False),
        ("a//b", False),
        (1, False),
    ],
)
def test_a_shim_path_is_one_that_the_agent_takes(value: object, valid: bool) -> None:
    assert is_valid("shimPath", value) == valid
