"""Templates."""

import pytest

from agent.banner.templates import fill, read_template


def test_each_name_is_replaced_once_and_nothing_in_a_value_is() -> None:
    assert fill("{{a}}-{{b}}-{{a}} {a} {{A}}", {"a": "{{b}}", "b": "\\g<0>"}) == "{{b}}-\\g<0>-{{b}} {a} {{A}}"


@pytest.mark.parametrize(
    ("name", "values"), [("frame.html", ["icon", "height", "banner", "target"]), ("departure.html", ["address"])]
)
def test_a_template_has_just_these_names(name: str, values: list[str]) -> None:
    filled = fill(read_template(name), dict.fromkeys(values, "VALUE"))
    assert "{{" not in filled
    assert filled.count("VALUE") >= len(values)
