"""JupyterLab behind proxy and agent, as `docs/recipes/jupyter.md` says: cells, widgets and a terminal.

A notebook's page lives on websockets: kernels speak text and binary, terminals text; through the shim on both shapes,
and natively through the stand-alone proxy.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from selenium.common.exceptions import ElementNotInteractableException, StaleElementReferenceException
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.system.processes import ROOT, Process, environment, free_port
from tests.system.rawhttp import get
from tests.system.shapes import AppEngine, Shape, Site, Standalone
from tests.timing import SECOND, wait_until

LAB_FLAGS: Final = ("--no-browser", "--ServerApp.allow_remote_access=True")
AGENT_FLAGS: Final = ("--shim-websockets", "--rewrite-websocket-host")
"""What the recipe tells, besides addresses, for App Engine. Stand-alone it tells nothing else."""

TOKEN: Final = "only-for-this-test"
PATIENCE: Final = 60 * SECOND

SLIDER: Final = """\
import ipywidgets
slider = ipywidgets.IntSlider(value=3, max=10)
said = ipywidgets.Output()
def moved(change):
    with said:
        print('moved to', change['new'])
slider.observe(moved, 'value')
display(slider, said)"""

# A widget's image travels as a binary message, unlike an output's: one pixel, a GIF.
IMAGE: Final = """\
pixel = bytes.fromhex('47494638396101000100800000ff0000ffffff21f90400000000002c00000000010001000002024401003b')
ipywidgets.Image(value=pixel, format='gif', width=40, height=40)"""


_READ_TERMINAL: Final = """
const buffer = window.jupyterapp.shell.currentWidget?.content?._term?.buffer.active;
const lines = buffer ? Array.from({length: buffer.length}, (_, i) => buffer.getLine(i)) : [];
return lines.map((line) => line.translateToString(true)).join("\\n");
"""


def notebook(*sources: str) -> str:
    cells = [
        {"cell_type": "code", "id": str(i), "source": text, "metadata": {}, "outputs": [], "execution_count": None}
        for i, text in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


class Lab:
    """A JupyterLab and its notebooks."""

    def __init__(self, folder: Path) -> None:
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        argv = [
            str(environment("jupyter") / "bin" / "jupyter"), "lab", *LAB_FLAGS, f"--port={port}",
            f"--ServerApp.root_dir={self.notebooks}", f"--IdentityProvider.token={TOKEN}", "--allow-root",
            "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]  # fmt: skip
        self.process = Process(
            "jupyter", argv, log=folder / "jupyter.log", env={"HOME": str(folder), "SHELL": "/bin/sh"}
        )
        wait_until(self._is_up, within=PATIENCE, what="JupyterLab up")

    def _is_up(self) -> bool:
        self.process.require_running()
        try:
            return get(self.url, "/api").status == 200
        except OSError:
            return False

    def has_idle_kernel(self) -> bool:
        """True when the notebook's kernel is there: a page that runs a cell before asks which kernel to take."""
        kernels = json.loads(get(self.url, f"/api/kernels?token={TOKEN}").body)
        # An error is an object.
        return isinstance(kernels, list) and any(kernel["execution_state"] == "idle" for kernel in kernels)


@pytest.fixture(scope="module", params=["native", "standalone", "appengine"])
def way(request: pytest.FixtureRequest) -> str:
    """How websockets travel: natively, or by the shim on one of the shapes."""
    way: str = request.param
    return way


@pytest.fixture(scope="module")
def shape(way: str, folder: Path) -> Iterator[Shape]:
    """With the time-outs of its defaults, which must be enough for the shim."""
    patience = "30s"
    shape: Shape
    if way != "appengine":
        shape = Standalone(folder, f"--response-timeout={patience}", f"--idle-timeout={patience}")
    else:
        shape = AppEngine(folder, RESPONSE_TIMEOUT=patience, IDLE_TIMEOUT=patience)
    yield shape
    shape.stop()


@pytest.fixture(scope="module")
def lab(shape: Shape, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A new one for each shape: a lab remembers what was open in it."""
    lab = Lab(tmp_path_factory.mktemp("jupyter"))
    yield lab
    lab.process.kill()


@pytest.fixture(scope="module")
def lab_site(way: str, shape: Shape, lab: Lab, folder: Path) -> Iterator[Site]:
    site = Site(shape, lab.url, backend_id="jupyter", folder=folder)
    site.start_agent(*(() if way == "native" else AGENT_FLAGS))
    site.wait_until_online()
    yield site
    site.close()


class Tab:
    """JupyterLab in the browser."""

    def __init__(self, chromium: Chrome, site: Site) -> None:
        self._browser = chromium
        self._site = site

    def open(self, path: str, *, until: str) -> None:
        self._browser.get("about:blank")  # so that no dialog of an older tab asks about what is unsaved
        self._browser.get(f"{self._site.url}{path}?token={TOKEN}")
        self.wait_for(until)

    def wait_for(self, selector: str) -> None:
        wait_until(lambda: self._browser.find_elements(By.CSS_SELECTOR, selector), within=PATIENCE, what=selector)

    def run_cell(self, number: int) -> None:
        """As a user does it: click into the cell, Shift and Enter."""

        def is_clicked() -> bool:
            editors = self._browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-Cell .jp-InputArea-editor")
            with suppress(ElementNotInteractableException, StaleElementReferenceException):
                editors[number].click()
                return True
            return False

        # Cells move while the notebook is being laid out.
        wait_until(is_clicked, within=PATIENCE, what=f"a click into cell {number}")
        ActionChains(self._browser).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()

    def text_of(self, selector: str) -> str:
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText).join('\\n')"
        return str(self._browser.execute_script(script, selector))

    def has_own_websockets(self) -> bool:
        """True where the page's `WebSocket` is the browser's, and no script's."""
        return "[native code]" in str(self._browser.execute_script("return WebSocket.toString()"))

    def terminal_text(self) -> str:
        """What the terminal shows; it is painted, so its own buffer is asked."""
        return str(self._browser.execute_script(_READ_TERMINAL))

    def wait_for_text(self, selector: str, text: str) -> None:
        wait_until(lambda: text in self.text_of(selector), within=PATIENCE, what=f"{text!r} in {selector}")


@pytest.fixture
def tab(chromium: Chrome, lab_site: Site) -> Iterator[Tab]:
    chromium.set_window_size(1280, 800)
    yield Tab(chromium, lab_site)
    chromium.get("about:blank")


def test_cells_run_and_widgets_answer(tab: Tab, lab: Lab, chromium: Chrome, request: pytest.FixtureRequest) -> None:
    (lab.notebooks / "try.ipynb").write_text(notebook("print('the answer is', 6 * 7)", SLIDER, IMAGE), "utf-8")
    tab.open("/lab/workspaces/cells/tree/try.ipynb", until=".jp-Notebook .jp-Cell .cm-content")
    wait_until(lab.has_idle_kernel, within=PATIENCE, what="an idle kernel")
    tab.wait_for('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
    outputs = ".jp-OutputArea-output"

    tab.run_cell(0)
    tab.wait_for_text(outputs, "the answer is 42")

    tab.run_cell(1)
    tab.wait_for(f"{outputs} .noUi-handle")
    chromium.find_element(By.CSS_SELECTOR, f"{outputs} .noUi-handle").send_keys(Keys.ARROW_RIGHT)
    tab.wait_for_text(outputs, "moved to 4")

    tab.run_cell(2)
    tab.wait_for(f"{outputs} img")
    width = "return document.querySelector(arguments[0]).naturalWidth"
    wait_until(
        lambda: chromium.execute_script(width, f"{outputs} img") == 1, within=PATIENCE, what="the widget's image"
    )
    if path := request.config.getoption("--screenshot"):
        chromium.save_screenshot(path)


def test_a_terminal_shows_what_its_shell_says(tab: Tab, lab: Lab, chromium: Chrome) -> None:
    answer = lab.notebooks / "answer"
    tab.open("/lab/workspaces/terminal", until='.jp-LauncherCard[title*="erminal"]')
    chromium.find_element(By.CSS_SELECTOR, '.jp-LauncherCard[title*="erminal"]').click()
    tab.wait_for(".jp-Terminal .xterm-helper-textarea")
    wait_until(lambda: "#" in tab.terminal_text(), within=PATIENCE, what="a prompt")
    chromium.find_element(By.CSS_SELECTOR, ".jp-Terminal .xterm-helper-textarea").send_keys(
        f"echo the answer is $((6*7)) | tee {answer}", Keys.ENTER
    )
    wait_until(lambda: "the answer is 42" in tab.terminal_text(), within=PATIENCE, what="the shell's answer")
    assert answer.read_text() == "the answer is 42\n"


def test_websockets_went_the_way_that_was_meant(tab: Tab, lab_site: Site, way: str) -> None:
    """Natively the page's `WebSocket` is the browser's own, and the agent has tunnels."""
    tab.open("/lab/workspaces/cells", until=".jp-LauncherCard, .jp-Notebook")
    is_native = way == "native"

    assert (tab.has_own_websockets(), " 101 0 bytes" in lab_site.agents[0].printed()) == (is_native, is_native)


def test_the_recipe_says_what_was_done_here() -> None:
    recipe = (ROOT / "docs/recipes/jupyter.md").read_text("utf-8")
    commands = re.sub(r"\\\n\s*", "", recipe)
    assert f"jupyter lab {' '.join(LAB_FLAGS)}" in commands
    assert " ".join(AGENT_FLAGS) in commands
