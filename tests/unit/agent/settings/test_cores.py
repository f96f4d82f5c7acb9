"""How many cores this process may keep busy."""

from pathlib import Path

import pytest

from agent.settings.cores import usable_cores


@pytest.mark.parametrize(
    ("text", "least"), [("max 100000", 0), ("50000 100000", 1), ("100000 100000", 1), ("odd", 0), ("1 0", 0), (None, 0)]
)
def test_a_container_has_what_it_is_given(text: str | None, least: int, tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    if text is not None:
        quota.write_text(text)
    allowed = usable_cores(quota=tmp_path / "nothing")
    assert usable_cores(quota=quota) == (least or allowed)
