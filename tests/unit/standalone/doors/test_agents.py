import json
from collections.abc import Callable

import pytest

from broker.policy import Policy
from tests.factories import BACKEND, seconds
from tests.unit.standalone.scripted import AGENT_FIELDS, NAMELESS, NEWER, OK, Bench, Fields, Passes, Peer, run, turns
from wire.protocol import RequestId


def test_an_offer_whose_list_was_never_sent_is_listed_again_at_once() -> None:
    async def scenario(bench: Bench) -> None:
        lost = bench.poll(sends=0)
        await turns()
        user = bench.start("GET", "/")
        await turns()
        lost.task.cancel()
        poll = await bench.poll().done()

        assert json.loads(poll.body) == ["request-1"]
        user.task.cancel()

    run(scenario)


@pytest.mark.parametrize("sent", [0, 1])
def test_a_batch_of_which_nothing_was_sent_is_handed_out_again_at_once(sent: int) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("POST", "/", length=0)
        await turns()
        lost = bench.poll_for_batch("poll-1", sends=sent)
        await turns()
        lost.task.cancel()
        poll = await bench.poll_for_batch("poll-2").done()

        assert (poll.status, b"\r\nX-Inverting-Proxy-Request-ID: request-1\r\n" in poll.body) == (200, True)
        user.task.cancel()

    run(scenario)


def test_a_batch_that_was_sent_stays_with_the_agent_until_that_says_it_was_lost() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("POST", "/", length=0)
        await turns()
        lost = bench.poll_for_batch("poll-1", sends=2)
        await turns()
        lost.task.cancel()
        other = bench.poll_for_batch("poll-2")
        await turns()
        assert other.sent == []
        again = await bench.poll_for_batch("poll-3", ("X-Inverting-Proxy-Lost-Poll", "poll-1")).done()

        assert b"\r\nX-Inverting-Proxy-Request-ID: request-1\r\n" in again.body
        other.task.cancel()
        user.task.cancel()

    run(scenario)


def test_a_poll_that_breaks_off_while_it_waits_claims_nothing() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/")
        poll = await bench.poll().done()

        assert json.loads(poll.body) == ["request-1"]
        user.task.cancel()

    run(scenario)


def test_what_a_vanished_agent_held_is_given_to_the_next_or_fails() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        reader, writer = bench.start("GET", "/"), bench.start("POST", "/", length=0)
        await turns()
        listed = await bench.poll().done()
        for request_id in json.loads(listed.body):
            await bench.fetch(request_id).done()
        await bench.introduce()
        bench.clock.advance(seconds(5))
        bench.app.keep_house()
        failed = await writer.done()
        again = await bench.poll().done()

        assert json.loads(again.body) == ["request-1"]
        assert (failed.status, failed.fields["X-Inverting-Proxy-Error"]) == (502, "agent-lost")
        reader.task.cancel()

    run(scenario)


def test_what_an_agent_was_handed_that_vanishes_right_after_it_is_given_to_the_next_or_fails() -> None:
    leave: list[Callable[[], None]] = []

    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        reader, writer = bench.start("GET", "/"), bench.start("POST", "/", length=0)
        await turns()
        await bench.poll_for_batch("poll-1", when_left=leave.append).done()
        [tell] = leave
        tell()
        bench.clock.advance(seconds(5))
        bench.app.keep_house()
        failed = await writer.done()
        again = await bench.poll().done()

        assert json.loads(again.body) == ["request-1"]
        assert (failed.status, failed.fields["X-Inverting-Proxy-Error"]) == (502, "agent-lost")
        reader.task.cancel()

    run(scenario)


LEAVING = (*AGENT_FIELDS, ("X-Inverting-Proxy-Request-ID", "-"))


def test_an_agent_that_asks_no_more_gets_nothing_and_what_it_was_offered_goes_to_others() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        first = bench.start("GET", "/")
        await turns()
        await bench.poll().done()
        waiting = bench.poll()
        await turns()
        left = await bench.start("DELETE", "/agent/pending", *LEAVING).done()
        ended = await waiting.done()
        second = bench.start("GET", "/")
        await turns()
        other = bench.start("GET", "/agent/pending", AGENT_FIELDS[0], ("X-Inverting-Proxy-Agent-ID", "agent-2"))
        await other.done()

        assert (left.status, left.body, json.loads(ended.body)) == (204, b"", [])
        assert json.loads(other.body) == ["request-1", "request-2"]
        first.task.cancel()
        second.task.cancel()

    run(scenario)


def test_a_backend_whose_only_agent_has_left_is_offline_after_its_grace() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        poll = bench.poll()
        await turns()
        await bench.start("DELETE", "/agent/pending", *LEAVING).done()
        await poll.done()
        bench.clock.advance(seconds(4.9))
        bench.app.keep_house()
        assert bench.store.get_statuses([BACKEND])[BACKEND].last_polled is not None
        bench.clock.advance(seconds(0.1))
        bench.app.keep_house()
        assert bench.store.get_statuses([BACKEND])[BACKEND].last_polled is None

    run(scenario)


def test_an_agent_without_a_name_cannot_leave() -> None:
    async def scenario(bench: Bench) -> None:
        nameless = await bench.start("DELETE", "/agent/pending", AGENT_FIELDS[0]).done()

        assert nameless.status == 400

    run(scenario)


def test_an_agent_that_comes_back_in_time_keeps_what_it_holds() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("POST", "/", length=0)
        await bench.poll().done()
        await bench.fetch("request-1").done()
        await bench.introduce()
        bench.clock.advance(seconds(4))
        poll = bench.poll()
        await turns()
        bench.clock.advance(seconds(4))
        bench.app.keep_house()
        posted = await bench.post("request-1", OK).done()

        assert (posted.status, (await user.done()).body) == (200, b"ok")
        poll.task.cancel()

    run(scenario)


def test_an_answer_that_is_posted_short_of_its_end_is_a_clean_bad_gateway() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/")
        await bench.poll().done()
        await bench.fetch("request-1").done()
        await bench.post("request-1", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"hel").done()
        await user.done()

        assert (user.status, user.is_whole) == (502, True)

    run(scenario)


def test_an_agent_is_told_of_a_request_whose_client_has_gone_and_only_once() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("POST", "/", length=0)
        await turns()
        await bench.poll_for_batch("poll-1").done()
        waiting = bench.poll_for_batch("poll-2")
        await turns()
        user.task.cancel()
        told = await waiting.done()
        next_poll = bench.poll_for_batch("poll-3")
        await turns()

        assert (told.status, told.fields["X-Inverting-Proxy-Gone"]) == (204, "request-1")
        assert next_poll.sent == []
        next_poll.task.cancel()

    run(scenario, Policy(news_wait=seconds(0)))


def test_nobody_is_told_of_a_request_that_is_answered_or_that_no_agent_has() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        answered = bench.start("POST", "/", length=0)
        await turns()
        await bench.poll_for_batch("poll-1").done()
        await bench.post("request-1", OK).done()
        await answered.done()
        waiting = bench.start("POST", "/", length=0)
        await turns()
        waiting.task.cancel()
        poll = bench.poll_for_batch("poll-2")
        await turns()

        assert poll.sent == []
        poll.task.cancel()

    run(scenario)


@pytest.mark.parametrize("version", [1, 2])
def test_a_poll_whose_agent_may_not_serve_any_more_ends_and_is_given_nothing(version: int) -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        poll = bench.poll() if version == 1 else bench.poll_for_batch("poll-1")
        await turns()
        other_name = ("X-Inverting-Proxy-Agent-ID", "other")
        other = bench.start("GET", "/agent/pending", AGENT_FIELDS[0], other_name, ("Authorization", "newer"))
        await turns()
        passes.good.remove("")
        user = bench.start("GET", "/")
        ended, took = await poll.done(), await other.done()

        assert (ended.status, ended.body) == ((200, b"[]") if version == 1 else (204, b""))
        assert json.loads(took.body) == ["request-1"]
        user.task.cancel()

    run(scenario, access=passes.access)


def test_all_polls_of_an_agent_that_may_not_serve_any_more_end_also_without_a_request() -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        polls = [bench.poll(), bench.poll_for_batch("poll-1"), bench.poll()]
        await turns()
        passes.good.remove("")
        bench.app.keep_house()

        assert [(await poll.done()).status for poll in polls] == [200, 204, 200]

    run(scenario, access=passes.access)


@pytest.mark.parametrize("own", [AGENT_FIELDS, NAMELESS], ids=["with a name", "without one"])
def test_what_an_agent_held_that_may_not_serve_any_more_is_given_to_the_next_or_fails(own: Fields) -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        reader, writer = bench.start("GET", "/"), bench.start("POST", "/", length=0)
        await turns()
        for request_id in json.loads((await bench.poll(own=own).done()).body):
            await bench.fetch(request_id, own=own).done()
        passes.good.remove("")
        bench.app.keep_house()
        bench.clock.advance(seconds(4.9))
        bench.app.keep_house()
        await turns()
        still = list(writer.sent)
        bench.clock.advance(seconds(0.1))
        bench.app.keep_house()
        failed = await writer.done()
        late = await bench.post("request-1", OK, own=own).done()
        again = await bench.poll(own=NEWER).done()

        assert (still, failed.status, failed.fields["X-Inverting-Proxy-Error"]) == ([], 502, "agent-lost")
        assert (late.status, json.loads(again.body)) == (401, ["request-1"])
        reader.task.cancel()

    run(scenario, access=passes.access)


def test_an_answer_that_an_agent_has_begun_breaks_off_when_it_may_not_serve_any_more() -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/")
        await bench.poll().done()
        await bench.fetch("request-1").done()
        begun = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"
        bench.store.append_answer(
            BACKEND, RequestId("request-1"), 0, begun, agent_id="agent-1", last=False, now=bench.clock.now()
        )
        await turns()
        passes.good.remove("")
        bench.app.keep_house()
        bench.clock.advance(seconds(5))
        bench.app.keep_house()
        broken = await user.done()

        assert (broken.status, broken.body, broken.is_whole) == (200, b"hel", False)

    run(scenario, access=passes.access)


async def begin_without_a_name(bench: Bench, begun: bytes) -> tuple[Peer, Peer]:
    """A user, and the post with which an agent without a name has begun to answer him."""
    await bench.introduce()
    user = bench.start("GET", "/")
    await turns()
    await bench.fetch("request-1", own=NAMELESS).done()
    post = bench.post("request-1", begun, own=NAMELESS, is_open=True)
    await turns()
    return user, post


def test_an_agent_without_a_name_answers_no_further_when_it_may_not_serve_any_more() -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        user, post = await begin_without_a_name(bench, b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhel")
        post.say(b"lo")
        await turns()
        passes.good.remove("")
        post.say(b"all", is_last=True)
        broken = await user.done()

        assert ((await post.done()).status, broken.body, broken.is_whole) == (403, b"hello", False)

    run(scenario, access=passes.access)


def test_an_agent_without_a_name_that_is_silent_fails_the_answer_when_it_may_not_serve_any_more() -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        user, post = await begin_without_a_name(bench, b"HTTP/1.1")
        passes.good.remove("")
        failed = await user.done()

        assert ((await post.done()).status, failed.status) == (403, 502)
        assert failed.fields["X-Inverting-Proxy-Error"] == "agent-lost"

    run(scenario, access=passes.access)


def test_an_agent_without_a_name_is_sent_no_more_of_a_request_when_it_may_not_serve_any_more() -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("POST", "/", bodies=[b"first"], length="chunked", is_open=True)
        await bench.poll(own=NAMELESS).done()
        fetch = bench.fetch("request-1", own=NAMELESS)
        await turns()
        passes.good.remove("")
        user.say(b"second", is_last=True)
        fetched, failed = await fetch.done(), await user.done()

        assert (fetched.status, b"first" in fetched.body, fetched.is_whole) == (200, True, False)
        assert b"second" not in fetched.body
        assert (failed.status, failed.fields["X-Inverting-Proxy-Error"]) == (502, "agent-lost")

    run(scenario, access=passes.access)


def test_an_agent_without_a_name_that_answers_with_a_newer_token_in_time_loses_nothing() -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("POST", "/", length=0)
        await bench.poll(own=NAMELESS).done()
        await bench.fetch("request-1", own=NAMELESS).done()
        passes.good.remove("")
        bench.app.keep_house()
        post = bench.post("request-1", OK[:9], own=(*NAMELESS, NEWER[-1]), is_open=True)
        await turns()
        bench.clock.advance(seconds(60))
        bench.app.keep_house()
        post.say(OK[9:], is_last=True)

        assert ((await post.done()).status, (await user.done()).body) == (200, b"ok")

    run(scenario, access=passes.access)


def test_an_agent_that_shows_a_newer_token_in_time_keeps_what_it_holds() -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("POST", "/", length=0)
        await bench.poll().done()
        await bench.fetch("request-1").done()
        passes.good.remove("")
        bench.app.keep_house()
        poll = bench.poll(own=NEWER)
        await turns()
        bench.clock.advance(seconds(60))
        bench.app.keep_house()
        posted = await bench.post("request-1", OK, own=NEWER).done()

        assert (posted.status, (await user.done()).body) == (200, b"ok")
        poll.task.cancel()

    run(scenario, access=passes.access)


def test_a_backend_whose_only_agent_may_not_serve_any_more_is_offline_after_its_grace() -> None:
    passes = Passes()

    async def scenario(bench: Bench) -> None:
        poll = bench.poll()
        await turns()
        passes.good.remove("")
        bench.app.keep_house()
        await poll.done()
        bench.clock.advance(seconds(5))
        bench.app.keep_house()
        user = await bench.start("GET", "/").done()

        assert (user.status, user.fields["X-Inverting-Proxy-Error"]) == (503, "no-agent")

    run(scenario, access=passes.access)
