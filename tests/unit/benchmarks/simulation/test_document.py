from dataclasses import replace
from xml.etree import ElementTree

import pytest

from benchmarks.simulation.document import page, plot, ramp, report
from benchmarks.simulation.inputs import DESIGNS, HINTED, KIND_START, POLLING, Design, Size
from benchmarks.simulation.runs import simulate

OUTCOMES = {
    design: [simulate(design, Size(backends=1, rate=rate), seconds=2) for rate in (5, 20)] for design in DESIGNS
}


def test_every_size_of_every_design_has_its_row() -> None:
    text = report(OUTCOMES, {})
    assert text.count("\n| 1 | ") == 4
    assert "## polling alone" in text


def test_the_plot_is_an_image_with_a_line_for_each_design() -> None:
    image = ElementTree.fromstring(plot(OUTCOMES))
    assert image.tag == "{http://www.w3.org/2000/svg}svg"
    words = [each.text for each in image.iter("{http://www.w3.org/2000/svg}text")]
    assert {"polling alone", "hints in memcache", "1 backend: answers a second", "5 requests/s"} <= set(words)


@pytest.mark.parametrize(
    ("calls", "minutes"), [(0, 0), (KIND_START, 0), (KIND_START * 1.5, 5), (KIND_START * 2.25, 10)]
)
def test_traffic_grows_by_half_every_five_minutes(calls: float, minutes: float) -> None:
    assert ramp(calls) == pytest.approx(minutes)


@pytest.mark.parametrize(
    ("design", "size"),
    [
        (HINTED, Size(backends=1, rate=10)),
        (HINTED, Size(backends=100, rate=100)),
        (POLLING, Size(backends=1, rate=10)),
    ],
)
def test_the_page_shows_what_the_program_prints(design: Design, size: Size) -> None:
    """Of the quickest sizes: what changes rules or inputs changes these, too."""
    *_, row = report({design: [simulate(design, size)]}, {}).splitlines()
    _, _, tables = page().kept.partition(f"## {design.name}\n")
    assert row in tables.partition("## ")[0].splitlines(), "run: python -m benchmarks.simulation --keep"


def test_instances_are_as_many_as_threads_or_processors_need() -> None:
    outcome = replace(OUTCOMES[HINTED][0], users=81, agent_calls=1)
    quick = replace(outcome, size=Size(backends=1, rate=201), users=1)
    few, many = (report({HINTED: [each]}, {}).splitlines()[-1] for each in (outcome, quick))
    assert few.endswith("| 2 + 1 |")
    assert many.endswith("| **11** + **11** |")


def test_the_yaml_files_allow_less_than_datastore_carries() -> None:
    carried = replace(OUTCOMES[HINTED][0], size=Size(backends=100, rate=10_000))
    too_many = replace(carried, size=Size(backends=10_000, rate=10))
    text = report({}, {(HINTED, 100): (carried, None), (HINTED, 10_000): (too_many, None)})
    assert "| 200 |" in text
    assert "| nothing: 800 agents at most |" in text
