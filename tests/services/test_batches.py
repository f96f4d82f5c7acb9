"""Version 2 over the services: batches of requests and of answers, beside version 1."""

import json
import threading
from contextvars import ContextVar, copy_context
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from stores.memory.store import MemoryStore
from tests.batches import BATCH_OF_ANSWERS, an_answer, answers, read_requests
from tests.services.pair import HASTY, Pair, raw_answer
from wire.batches import Entry
from wire.negotiation import ACCEPT
from wire.protocol import (
    AGENT_ID,
    BACKEND_ID,
    CAPACITY,
    ERROR,
    FETCHES,
    LOST_POLL,
    PENDING_PATH,
    POLL_ID,
    RECEIVED,
    REQUEST_ID,
    REQUEST_PATH,
    RESPONSE_PATH,
)

OK = raw_answer()


def own(agent_id: str = "agent-1") -> dict[str, str]:
    return {BACKEND_ID: "notebook", AGENT_ID: agent_id}


def poll(pair: Pair, poll_id: str = "poll-1", *, agent_id: str = "agent-1", **more: str) -> TestResponse:
    headers = own(agent_id) | {"Accept": ACCEPT, POLL_ID: poll_id} | more
    return pair.agents.test_client().get(PENDING_PATH, headers=headers)


def entries_of(answered: TestResponse) -> list[Entry]:
    assert answered.status_code == 200, answered.text
    return read_requests(answered.headers["Content-Type"], answered.data)


def fetch_several(pair: Pair, *names: str, agent_id: str = "agent-1") -> TestResponse:
    headers = own(agent_id) | {"Accept": ACCEPT, REQUEST_ID: " ".join(names)}
    return pair.agents.test_client().get(REQUEST_PATH, headers=headers)


def ok(request_id: str) -> Entry:
    return an_answer(request_id, OK)


def post(pair: Pair, *entries: Entry, agent_id: str = "agent-1", tail: bytes | None = None) -> TestResponse:
    headers = own(agent_id) | dict(BATCH_OF_ANSWERS)
    return pair.agents.test_client().post(RESPONSE_PATH, headers=headers, data=answers(*entries, tail=tail))


def test_requests_come_with_a_poll_and_answers_go_in_a_batch() -> None:
    pair = Pair()
    with pair.asking("/a") as first, pair.asking("/b", "POST", data=b"ask") as second:
        entries = entries_of(poll(pair))
        while len(entries) < 2:
            entries += entries_of(poll(pair, f"poll-{len(entries) + 1}"))
        posted = post(pair, *(ok(entry.request_id) for entry in entries))

        assert sorted(entry.message.split(b" HTTP")[0] for entry in entries) == [b"GET /a", b"POST /b"]
        assert [entry.message[-3:] for entry in entries if entry.message.startswith(b"POST")] == [b"ask"]
        assert sorted(posted.get_json()["delivered"]) == sorted(entry.request_id for entry in entries)
        assert [asked.result().data for asked in (first, second)] == [b"hello", b"hello"]


def test_a_poll_without_work_is_204_after_the_wait() -> None:
    answered = poll(Pair(policy=HASTY))

    assert (answered.status_code, answered.data, answered.headers.get("Content-Type")) == (204, b"", None)


@pytest.mark.parametrize(
    ("missing", "more"),
    [
        (POLL_ID, {}),
        (AGENT_ID, {}),
        (None, {CAPACITY: "0"}),
        (None, {LOST_POLL: "a  b"}),
    ],
)
def test_a_poll_that_does_not_name_things_properly_is_refused(missing: str | None, more: dict[str, str]) -> None:
    headers = own() | {"Accept": ACCEPT, POLL_ID: "p"} | more
    answered = (
        Pair()
        .agents.test_client()
        .get(PENDING_PATH, headers={name: value for name, value in headers.items() if name != missing})
    )

    assert (answered.status_code, answered.headers[ERROR]) == (400, "malformed-request")


def test_no_more_is_handed_out_than_the_agent_can_begin() -> None:
    pair = Pair()
    with pair.asking("/a") as first, pair.asking("/b") as second:
        some = entries_of(poll(pair, "p1", **{CAPACITY: "1"}))
        more = entries_of(poll(pair, "p2", agent_id="agent-2", **{CAPACITY: "1"}))
        assert (len(some), len(more)) == (1, 1)
        for agent_id, entries in (("agent-1", some), ("agent-2", more)):
            post(pair, ok(entries[0].request_id), agent_id=agent_id)
        assert [asked.result().status_code for asked in (first, second)] == [200, 200]


def test_a_service_that_only_names_requests_gives_several_in_one_fetch() -> None:
    pair = Pair(gives_requests=False)
    with pair.asking("/a") as first, pair.asking("/b") as second:
        named: list[Entry] = []
        while len(named) < 2:
            answered = poll(pair, f"poll-{len(named)}")
            named += entries_of(answered)
        names = [entry.request_id for entry in named]
        assert (answered.headers[FETCHES], [entry.is_to_fetch for entry in named]) == ("16", [True, True])
        fetched = entries_of(fetch_several(pair, *names, "unknown"))
        assert sorted(entry.message.split(b" HTTP")[0] for entry in fetched) == [b"GET /a", b"GET /b"]
        assert sorted(entry.request_id for entry in fetched) == sorted(names)
        assert fetch_several(pair, *names, agent_id="agent-2").status_code == 204
        post(pair, *map(ok, names))
        assert [asked.result().data for asked in (first, second)] == [b"hello", b"hello"]


@pytest.mark.parametrize("changes", [{AGENT_ID: ""}, {REQUEST_ID: ""}, {REQUEST_ID: "a  b"}])
def test_a_fetch_of_several_that_does_not_name_things_properly_is_refused(changes: dict[str, str]) -> None:
    headers = own() | {"Accept": ACCEPT, REQUEST_ID: "a b"} | changes
    answered = Pair().agents.test_client().get(REQUEST_PATH, headers=headers)
    assert (answered.status_code, answered.headers[ERROR]) == (400, "malformed-request")


def test_both_versions_take_from_one_queue_and_may_be_mixed_for_one_request() -> None:
    pair = Pair()
    with pair.asking() as asked:
        (entry,) = entries_of(poll(pair))
        assert pair.agent("agent-2").fetch(entry.request_id).status_code == 409
        assert pair.agent().fetch(entry.request_id).data == entry.message
        assert pair.agent().post(entry.request_id, OK).status_code == 200
        assert asked.result().data == b"hello"
    with pair.asking() as asked:
        request_id = pair.agent().next_id()
        pair.agent().fetch(request_id)
        assert post(pair, ok(request_id)).get_json()["delivered"] == [request_id]
        assert asked.result().data == b"hello"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("says", ["poll", "leave"])
def test_what_was_lost_on_the_way_goes_to_the_next_poll(method: str, says: str) -> None:
    pair = Pair()
    with pair.asking("/", method) as asked:
        (lost,) = entries_of(poll(pair, "lost"))
        if says == "poll":
            (again,) = entries_of(poll(pair, "next", **{LOST_POLL: "lost"}))
        else:
            headers = own() | {REQUEST_ID: "-", LOST_POLL: "lost"}
            assert pair.agents.test_client().delete(PENDING_PATH, headers=headers).status_code == 204
            (again,) = entries_of(poll(pair, "next", agent_id="agent-2"))
        assert again.message == lost.message
        post(pair, ok(again.request_id), agent_id="agent-1" if says == "poll" else "agent-2")
        assert asked.result().data == b"hello"


def test_what_arrived_of_a_lost_poll_stays_with_the_agent() -> None:
    pair = Pair(policy=HASTY)
    with pair.asking() as asked:
        while (handed := poll(pair, "lost")).status_code == 204:
            continue
        (entry,) = entries_of(handed)
        assert poll(pair, "next", **{LOST_POLL: "lost", RECEIVED: entry.request_id}).status_code == 204
        post(pair, ok(entry.request_id))
        assert asked.result().data == b"hello"


def test_a_poll_of_version_1_may_name_lost_polls_too() -> None:
    pair = Pair()
    with pair.asking() as asked:
        (entry,) = entries_of(poll(pair, "lost"))
        listed = pair.agents.test_client().get(PENDING_PATH, headers=own() | {LOST_POLL: "lost"})
        assert listed.get_json() == [entry.request_id]
        pair.agent().receive(entry.request_id)
        pair.agent().post(entry.request_id, OK)
        assert asked.result().data == b"hello"


TICKET: Final = ContextVar("TICKET", default="")


class WitnessStore(MemoryStore):
    """Notes what the context of those that append to answers says."""

    def append_answer(self, *args: Any, **more: Any) -> int:
        self.tickets.append(TICKET.get())
        return super().append_answer(*args, **more)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.tickets: list[str] = []


class MeetingStore(MemoryStore):
    """Stores an answer when another one is being stored, too."""

    meeting = threading.Barrier(2)

    def append_answer(self, *args: Any, **more: Any) -> int:
        self.meeting.wait(5)
        return super().append_answer(*args, **more)


def test_answers_of_a_batch_do_not_wait_for_each_other() -> None:
    pair = Pair(kind=MeetingStore)
    with pair.asking() as first, pair.asking() as second:
        names: list[str] = []
        while len(names) < 2:
            names += [entry.request_id for entry in entries_of(poll(pair, f"p{len(names)}"))]
        assert sorted(post(pair, *map(ok, names)).get_json()["delivered"]) == sorted(names)
        assert [asked.result().data for asked in (first, second)] == [b"hello", b"hello"]


def test_answers_of_a_batch_are_stored_in_the_context_of_their_post() -> None:
    pair = Pair(kind=WitnessStore)
    with pair.asking() as asked:
        (entry,) = entries_of(poll(pair))
        context = copy_context()
        context.run(TICKET.set, "ticket")
        context.run(post, pair, ok(entry.request_id))
        assert asked.result().data == b"hello"

    assert isinstance(pair.store, WitnessStore)
    assert pair.store.tickets == ["ticket"]


def test_one_bad_answer_does_not_spoil_the_others() -> None:
    pair = Pair()
    with pair.asking() as asked, pair.asking() as other:
        names: list[Any] = []
        while len(names) < 2:
            names += [entry.request_id for entry in entries_of(poll(pair, f"p{len(names)}"))]
        posted = post(pair, ok("gone"), an_answer(names[0], b""), ok(names[1]))

        assert posted.get_json() == {
            "delivered": [names[1]],
            "unknown": ["gone"],
            "refused": {names[0]: "empty-answer"},
        }
        assert sorted(each.result().status_code for each in (asked, other)) == [200, 502]


@pytest.mark.parametrize("tail", [b"", b"--b--\r\nx", b"--b\r\nX: y\r\n\r\n"])
def test_a_batch_that_is_none_to_its_end_is_refused_and_may_be_posted_again(tail: bytes) -> None:
    pair = Pair()
    with pair.asking() as asked:
        (entry,) = entries_of(poll(pair))
        broken = post(pair, ok(entry.request_id), tail=tail)
        again = post(pair, ok(entry.request_id))

        assert (broken.status_code, broken.headers[ERROR]) == (400, "malformed-request")
        assert json.loads(again.data)["refused"] == {}
        assert asked.result().data == b"hello"


def test_a_batch_without_a_boundary_is_refused() -> None:
    answered = (
        Pair()
        .agents.test_client()
        .post(RESPONSE_PATH, headers=own() | {REQUEST_ID: "-"}, data=b"", content_type="multipart/mixed")
    )

    assert (answered.status_code, answered.headers[ERROR]) == (400, "malformed-request")
