"""Version 2 of the protocol, by hand over sockets, and beside version 1."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.batches import BATCH_OF_ANSWERS, an_answer, answers, read_requests
from tests.standalone.by_hand import OK, Agent, ask
from tests.standalone.conftest import introduce
from tests.system.rawhttp import Connection, Reply, request_bytes
from tests.timing import MS, SECOND
from wire.batches import Entry, encode_entry
from wire.negotiation import ACCEPT
from wire.protocol import CAPACITY, LOST_POLL, MAX_ENTRY_BYTES, POLL_ID, RECEIVED, REQUEST_ID

Field = tuple[str, str]


def open_poll(agent: Agent, poll_id: str, *fields: Field) -> Connection:
    return agent.open_call("GET", "/agent/pending", ("Accept", ACCEPT), (POLL_ID, poll_id), *fields)


def poll(agent: Agent, poll_id: str, *fields: Field) -> list[Entry]:
    with open_poll(agent, poll_id, *fields) as connection:
        return entries_of(connection.read_reply())


def entries_of(reply: Reply) -> list[Entry]:
    assert reply.status == 200, reply
    return read_requests(reply.get("Content-Type"), reply.body)


def ok(request_id: str) -> Entry:
    return an_answer(request_id, OK)


def post(agent: Agent, *entries: Entry, tail: bytes | None = None) -> Reply:
    return agent.call("POST", "/agent/response", *BATCH_OF_ANSWERS, body=answers(*entries, tail=tail))


@contextmanager
def asking(agent: Agent, count: int) -> Iterator[list[Connection]]:
    """As many requests, all of them waiting: the proxy has read them."""
    with ExitStack() as stack:
        users = [stack.enter_context(ask(agent.url, target=f"/{number}")) for number in range(count)]
        time.sleep(100 * MS)
        yield users


def test_requests_come_with_a_poll_in_their_order_and_answers_go_in_a_batch(agent: Agent) -> None:
    with asking(agent, 3) as users:
        entries = poll(agent, "p")
        posted = post(agent, *(ok(entry.request_id) for entry in entries))

        assert [entry.message.split(b" ")[1] for entry in entries] == [b"/0", b"/1", b"/2"]
        assert json.loads(posted.body) == {
            "delivered": [entry.request_id for entry in entries],
            "unknown": [],
            "refused": {},
        }
        assert [user.read_reply().body for user in users] == [b"ok"] * 3


def test_a_request_is_handed_out_as_soon_as_it_is_there(agent: Agent) -> None:
    with open_poll(agent, "p") as polling, ask(agent.url):
        asked = time.monotonic()

        assert len(entries_of(polling.read_reply())) == 1
        assert time.monotonic() - asked < 200 * MS


def test_requests_are_shared_among_polls_by_what_each_can_take(agent: Agent) -> None:
    with asking(agent, 5):
        assert [len(poll(agent, f"p{number}", (CAPACITY, "2"))) for number in range(3)] == [2, 2, 1]


def test_of_polls_that_wait_one_gets_a_request_and_the_others_wait_on(agent: Agent) -> None:
    with ExitStack() as stack:
        polls = [stack.enter_context(open_poll(agent, f"p{number}", (CAPACITY, "1"))) for number in range(3)]
        time.sleep(100 * MS)
        users = [stack.enter_context(ask(agent.url)) for _ in range(3)]
        taken = [entries_of(polling.read_reply())[0].request_id for polling in polls]
        post(agent, *map(ok, taken))

        assert [user.read_reply().body for user in users] == [b"ok"] * 3


def test_polls_that_have_broken_off_keep_nothing_from_those_that_wait(agent: Agent) -> None:
    with ExitStack() as stack:
        polls = [stack.enter_context(open_poll(agent, f"p{number}", (CAPACITY, "1"))) for number in range(6)]
        time.sleep(100 * MS)
        for gone in polls[::2]:
            gone.close()
        time.sleep(100 * MS)
        began = time.monotonic()
        users = [stack.enter_context(ask(agent.url)) for _ in range(3)]
        taken = [entries_of(polling.read_reply())[0].request_id for polling in polls[1::2]]
        post(agent, *map(ok, taken))

        assert [user.read_reply().body for user in users] == [b"ok"] * 3
        assert time.monotonic() - began < 1 * SECOND


@pytest.mark.parametrize("size", [MAX_ENTRY_BYTES, 100_000])
def test_a_long_or_streaming_body_is_fetched_by_name(agent: Agent, size: int) -> None:
    with Connection(agent.url) as user:
        fields = [("Content-Length", str(size))]
        user.send(request_bytes("POST", "/", host=user.host, fields=fields) + b"x" * (size - 1))
        (entry,) = poll(agent, "p")
        assert (entry.is_to_fetch, entry.message) == (True, b"")
        user.send(b"x")
        fetched = agent.fetch(entry.request_id)
        post(agent, ok(entry.request_id))

        assert fetched.body.endswith(b"\r\n\r\n" + b"x" * size)
        assert user.read_reply().body == b"ok"


def test_a_body_that_has_come_is_handed_out(agent: Agent) -> None:
    with Connection(agent.url) as user:
        user.send(request_bytes("POST", "/", host=user.host, body=b"hello"))
        (entry,) = poll(agent, "p")

        assert entry.message.endswith(b"\r\n\r\nhello")


def test_a_poll_that_is_told_lost_gets_nothing_and_what_it_got_goes_to_the_next(agent: Agent) -> None:
    with open_poll(agent, "waiting") as waiting, asking(agent, 1) as [user]:
        first = entries_of(waiting.read_reply())
        again = poll(agent, "next", (LOST_POLL, "waiting"))
        post(agent, ok(again[0].request_id))

        assert [entry.request_id for entry in again] == [entry.request_id for entry in first]
        assert user.read_reply().body == b"ok"


def test_what_a_lost_poll_brought_before_it_broke_off_stays(agent: Agent) -> None:
    with asking(agent, 2) as users:
        one, two = poll(agent, "lost")
        (again,) = poll(agent, "next", (LOST_POLL, "lost"), (RECEIVED, one.request_id))
        post(agent, ok(one.request_id), ok(two.request_id))

        assert again.request_id == two.request_id
        assert [user.read_reply().body for user in users] == [b"ok"] * 2


def test_a_poll_that_breaks_off_takes_nothing_with_it(agent: Agent) -> None:
    open_poll(agent, "gone").close()
    with asking(agent, 1) as [user]:
        (entry,) = poll(agent, "next")
        post(agent, ok(entry.request_id))

        assert user.read_reply().body == b"ok"


def test_an_agent_that_leaves_ends_its_polls_and_gives_back_what_was_lost(agent: Agent) -> None:
    with open_poll(agent, "waiting") as waiting, asking(agent, 1):
        (lost,) = entries_of(waiting.read_reply())
        with open_poll(agent, "another") as another:
            time.sleep(100 * MS)
            left = agent.call("DELETE", "/agent/pending", (REQUEST_ID, "-"), (LOST_POLL, "waiting"))
            ended = another.read_reply()
        second = Agent(agent.url, agent_id="agent-2", backend_id=agent.backend_id)

        assert (left.status, ended.status, ended.body) == (204, 204, b"")
        assert [entry.request_id for entry in poll(second, "p")] == [lost.request_id]


def test_agents_of_both_versions_share_a_backend(agent: Agent) -> None:
    old = Agent(agent.url, agent_id="", backend_id=agent.backend_id)
    with asking(agent, 2) as users:
        (new_one,) = poll(agent, "p", (CAPACITY, "1"))
        old_one, message = old.take()
        assert (old.post(old_one, OK).status, post(agent, ok(new_one.request_id)).status) == (200, 200)

        assert message.startswith(b"GET /1 ")
        assert [user.read_reply().body for user in users] == [b"ok"] * 2


def test_a_poll_without_names_is_refused(agent: Agent) -> None:
    with agent.open_call("GET", "/agent/pending", ("Accept", ACCEPT)) as connection:
        reply = connection.read_reply()

    assert (reply.status, reply.reason) == (400, "malformed-request")


def test_one_bad_answer_does_not_spoil_the_others(agent: Agent) -> None:
    with asking(agent, 2) as users:
        one, two = poll(agent, "p")
        posted = post(agent, ok("gone"), an_answer(one.request_id, b""), ok(two.request_id))

        assert json.loads(posted.body) == {
            "delivered": [two.request_id],
            "unknown": ["gone"],
            "refused": {one.request_id: "empty-answer"},
        }
        assert [user.read_reply().status for user in users] == [502, 200]


def test_what_came_whole_of_a_batch_that_breaks_off_is_delivered(agent: Agent) -> None:
    with asking(agent, 1) as [user]:
        (entry,) = poll(agent, "p")
        raw = encode_entry("b", ok(entry.request_id))
        fields = (*BATCH_OF_ANSWERS, ("Content-Length", "1000"))
        with agent.open_call("POST", "/agent/response", *fields) as posting:
            posting.send(raw)
            began = time.monotonic()

            assert user.read_reply().body == b"ok"
            assert time.monotonic() - began < 1 * SECOND


def test_an_answer_whose_client_does_not_read_does_not_hold_up_the_others(agent: Agent) -> None:
    body = bytes(1_000_000)
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with asking(agent, 2) as [_, other]:
        one, two = poll(agent, "p")
        began = time.monotonic()
        posted = post(agent, an_answer(one.request_id, large), ok(two.request_id))

        assert json.loads(posted.body)["delivered"] == [one.request_id, two.request_id]
        assert other.read_reply().body == b"ok"
        assert time.monotonic() - began < 1 * SECOND


@pytest.mark.parametrize("tail", [b"", b"--b--\r\nx"])
def test_a_batch_that_is_none_to_its_end_is_refused(agent: Agent, tail: bytes) -> None:
    assert (post(agent, ok("r"), tail=tail).status, post(agent, ok("r")).status) == (400, 200)


def test_a_backend_is_known_from_a_poll_of_version_2_on(proxy: str) -> None:
    agent = Agent(proxy, backend_id="only-version-2")
    introduce(agent)
    with open_poll(agent, "p") as polling, ask(proxy):
        assert len(entries_of(polling.read_reply())) == 1
