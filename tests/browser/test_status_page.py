"""The agent's status page in a browser: it can be read on a phone and on a desk, light and dark, and runs nothing."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from agent.telemetry.assembly import Telemetry
from agent.telemetry.observer import FinishedExchange
from agent.telemetry.record import BackendRecord, ServedBackend
from tests.timing import SECOND, wait_until

LONG_ID = "a-backend-with-a-very-long-name-" + "x" * 60
HOSTILE = "<img src=x onerror=document.title='owned'>"


def a_record(backend_id: str) -> BackendRecord:
    record = BackendRecord(backend_id, now=time.monotonic)
    for number in range(5000):
        status, reason = (200, "") if number % 50 else (504, "backend-timeout")
        record.exchange_began()
        record.exchange_ended(FinishedExchange("id", "GET", "/", status, 5000, (number % 400) / 1000, reason))
    record.poll_began()
    record.poll_answered()
    return record


@pytest.fixture
def url() -> Iterator[str]:
    records = [a_record("notebook"), a_record(LONG_ID), a_record(HOSTILE)]
    records[2].poll_failed(HOSTILE)
    telemetry = Telemetry(
        [ServedBackend(record, "http://localhost:8888", lambda: True) for record in records],
        version="1.2.3",
        status_address=("127.0.0.1", 0),
        monitoring=None,
        clock=lambda: pytest.fail("no clock is needed"),
    )
    telemetry.start()
    yield f"http://127.0.0.1:{telemetry.status_port}/"
    telemetry.stop()


@pytest.fixture
def tab(chromium: Chrome) -> Iterator[Chrome]:
    """A tab of this test's own."""
    before = chromium.current_window_handle
    chromium.switch_to.new_window("tab")
    chromium.get_log("browser")
    yield chromium
    chromium.close()
    chromium.switch_to.window(before)


def show(tab: Chrome, url: str, *, width: int, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    tab.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    device = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    tab.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    tab.get(url)


CONTRASTS = """
const channels = colour => colour.match(/[\\d.]+/g).map(Number);
const light = colour => {
  const [r, g, b] = channels(colour).map(each => each / 255)
    .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = element => {
  const colour = getComputedStyle(element).backgroundColor;
  return channels(colour)[3] === 0 ? ground(element.parentElement) : colour;
};
const words = [...document.body.querySelectorAll("*")]
  .filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
return words.map(each => {
  const [a, b] = [light(getComputedStyle(each).color), light(ground(each))];
  return [each.textContent.trim().slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
});
"""
"""The contrast of each element with words of its own (WCAG 2.2, 1.4.3)."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_and_can_be_read(tab: Chrome, url: str, tmp_path: Path, width: int, scheme: str) -> None:
    show(tab, url, width=width, scheme=scheme)
    picture = tab.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    (tmp_path / f"status-{width}-{scheme}.png").write_bytes(base64.b64decode(picture["data"]))
    assert tab.execute_script("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    contrasts = tab.execute_script(CONTRASTS)
    assert len(contrasts) > 50
    assert [each for each in contrasts if each[1] < 4.5] == []
    is_dark = tab.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(16, 19, 23)"
    assert is_dark == (scheme == "dark")


def test_its_policy_allows_what_it_has_and_nothing_from_outside_runs(tab: Chrome, url: str) -> None:
    show(tab, url, width=1280, scheme="light")
    assert tab.get_log("browser") == []
    assert tab.title == "1 of 3 not ready – inverting proxy agent"
    assert tab.find_elements(By.TAG_NAME, "img") == []
    assert [each.text for each in tab.find_elements(By.TAG_NAME, "h2")] == ["notebook", LONG_ID, HOSTILE]


def test_it_loads_again_by_itself(tab: Chrome, url: str) -> None:
    show(tab, url, width=1280, scheme="light")
    tab.execute_script("window.isOld = true")
    wait_until(lambda: tab.execute_script("return !window.isOld"), within=60 * SECOND, what="the page once more")
