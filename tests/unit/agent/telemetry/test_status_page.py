"""The page at the status port."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.telemetry.observer import FinishedExchange
from agent.telemetry.record import BackendRecord
from agent.telemetry.status_page import ShownBackend, render


class Document(HTMLParser):
    """The texts of a document, and its tags; every tag that is opened must be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta", "link"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"] and data.strip():
            self.texts.append(data.strip())

    def tile(self, name: str) -> str:
        return self.texts[self.texts.index(name) + 1].replace("\u00a0", " ").replace("\u202f", " ")


def a_record(backend_id: str = "notebook") -> BackendRecord:
    record = BackendRecord(backend_id, now=lambda: 0.0)
    record.poll_began()
    record.poll_answered()
    return record


def page(*records: BackendRecord, host: str = "http://localhost:8888", is_working: bool = True) -> Document:
    shown = [ShownBackend(each.snapshot(), host, is_working=is_working) for each in records]
    return Document(render(shown, version="1.2.3", uptime=3700.0))


def test_an_agent_without_traffic_is_shown() -> None:
    document = page(a_record())
    assert document.texts[0] == "Connected – inverting proxy agent"
    assert document.texts.count("None yet.") == 2
    assert "version 1.2.3 · up 1\u00a0h 1\u00a0min" in document.texts
    assert (document.tile("Last poll answered"), document.tile("Median")) == ("0 s", "–")


def test_counts_are_shown() -> None:
    record = a_record()
    for number in range(1234):
        status, reason = (504, "backend-timeout") if number < 3 else (200, "")
        record.exchange_began()
        record.exchange_ended(FinishedExchange("id", "GET", "/", status, 1000, 0.042, reason))
    record.exchange_began()
    record.exchange_began()
    record.shim_session_opened()
    document = page(record)
    tiles = ("Requests", "In flight", "Open websockets", "Median", "95 % within", "Bytes answered")
    assert [document.tile(name) for name in tiles] == ["1 234", "2", "1", "42 ms", "42 ms", "1.2 MB"]
    assert document.texts[document.texts.index("504") : document.texts.index("504") + 3] == [
        "504",
        "backend-timeout 3",
        "3",
    ]


@pytest.mark.parametrize(
    ("event", "label"),
    [
        (lambda record: record.poll_failed("refused"), "Not connected"),
        (lambda record: record.health_changed("status 503"), "Backend unhealthy"),
        (lambda record: record.draining_began(), "Stopping"),
    ],
)
def test_what_is_wrong_is_said(event, label: str) -> None:  # type: ignore[no-untyped-def]
    record = a_record()
    event(record)
    document = page(record)
    assert label in document.texts
    assert document.texts[0].startswith(label)


def test_a_loop_that_ended_is_said() -> None:
    assert "Broken" in page(a_record(), is_working=False).texts


def test_an_agent_that_has_just_begun_is_connecting() -> None:
    assert "Connecting" in page(BackendRecord("notebook", now=lambda: 0.0)).texts


def test_of_several_backends_those_that_are_not_ready_are_counted() -> None:
    broken = a_record("b")
    broken.poll_failed("refused")
    assert page(a_record("a"), broken).texts[0].startswith("1 of 2 not ready")
    assert page(a_record("a"), a_record("b")).texts[0].startswith("Connected")


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_nothing_from_outside_becomes_markup(text: str) -> None:
    plain = page(a_record())
    record = a_record(f"<b>{text}'\"")
    record.poll_failed(f"<script>{text}&lt;")
    record.exchange_ended(FinishedExchange("id", "GET", "/", 200, 0, 0.1, f"<i>{text}"))
    tags = page(record, host=f"<u>{text}").tags
    assert set(tags) <= {*plain.tags, "table", "tr", "th", "td", "svg", "rect", "small"}


def test_nothing_is_loaded_from_elsewhere_and_there_is_no_script() -> None:
    document = page(a_record())
    assert "script" not in document.tags
    assert all(link.startswith(("data:", "/")) and not link.startswith("//") for link in document.links)
