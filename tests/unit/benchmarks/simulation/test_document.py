from xml.etree import ElementTree

import pytest

from benchmarks.simulation.document import page, plot, ramp, report
from benchmarks.simulation.inputs import BEFORE, BY_TIME, KIND_START, Size
from benchmarks.simulation.runs import simulate

OUTCOMES = {
    design: [simulate(design, Size(backends=1, rate=rate), seconds=2) for rate in (5, 20)]
    for design in (BEFORE, BY_TIME)
}


def test_every_size_of_every_design_has_its_row() -> None:
    text = report(OUTCOMES, {})
    assert text.count("\n| 1 | ") == 4
    assert "## 11.7 calls" in text


def test_the_plot_is_an_image_with_a_line_for_each_design() -> None:
    image = ElementTree.fromstring(plot(OUTCOMES))
    assert image.tag == "{http://www.w3.org/2000/svg}svg"
    words = [each.text for each in image.iter("{http://www.w3.org/2000/svg}text")]
    assert {"11.7 calls", "today's calls, index by time", "1 backend: answers a second", "5 requests/s"} <= set(words)


@pytest.mark.parametrize(
    ("calls", "minutes"), [(0, 0), (KIND_START, 0), (KIND_START * 1.5, 5), (KIND_START * 2.25, 10)]
)
def test_traffic_grows_by_half_every_five_minutes(calls: float, minutes: float) -> None:
    assert ramp(calls) == pytest.approx(minutes)


def test_the_page_has_the_tables_of_the_program() -> None:
    assert "## How much is carried" in page().kept
