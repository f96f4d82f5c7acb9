import pytest

from broker.policy import Policy
from tests.factories import BACKEND, a_backend
from tests.unit.standalone.scripted import OK, Bench, run, turns
from wire.protocol import RequestId


def test_an_exchange_is_gone_as_soon_as_its_client_is() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/")
        await turns()
        was_there = bench.store.has_exchange(BACKEND, RequestId("request-1"))
        user.task.cancel()
        await turns()

        assert (was_there, bench.store.has_exchange(BACKEND, RequestId("request-1"))) == (True, False)

    run(scenario)


def test_an_exchange_is_gone_when_it_is_delivered() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/")
        await turns()
        await bench.fetch("request-1").done()
        await bench.post("request-1", OK).done()
        await user.done()

        assert (user.body, user.is_whole) == (b"ok", True)
        assert not bench.store.has_exchange(BACKEND, RequestId("request-1"))

    run(scenario)


def test_a_host_that_a_backend_of_others_names_is_served_by_no_other() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        bench.store.put_backend(a_backend("private", end_user="other@example.org", hosts=("h",)))
        user = await bench.start("GET", "/").done()

        assert (user.status, user.fields["X-Inverting-Proxy-Error"]) == (404, "no-backend")

    run(scenario)


def test_a_running_body_over_the_limit_ends_the_exchange() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = await bench.start("POST", "/", bodies=[b"12", b"34", b"5"], length="chunked").done()

        assert (user.status, user.fields["X-Inverting-Proxy-Error"]) == (413, "too-large")
        assert not bench.store.has_exchange(BACKEND, RequestId("request-1"))

    run(scenario, Policy(max_body_bytes=4))


def test_an_answer_under_way_breaks_off_when_its_backend_is_registered_for_another_user() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/")
        await turns()
        await bench.fetch("request-1").done()
        begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
        post = bench.post("request-1", begun, is_open=True)
        await turns()
        before = user.body
        bench.store.put_backend(a_backend(end_user="another@example.org"))
        post.say(b"6\r\nsecond\r\n0\r\n\r\n", is_last=True)
        await user.done()
        await post.done()

        assert (before, user.body, user.is_whole) == (b"first", b"first", False)
        assert not bench.store.has_exchange(BACKEND, RequestId("request-1"))

    run(scenario)


def test_an_answer_that_has_not_begun_is_refused_to_a_user_for_whom_its_backend_is_no_more() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/")
        await turns()
        await bench.fetch("request-1").done()
        bench.store.put_backend(a_backend(end_user="another@example.org"))
        await bench.post("request-1", OK).done()
        await user.done()

        assert (user.status, user.fields["X-Inverting-Proxy-Error"]) == (403, "not-allowed")

    run(scenario)


@pytest.mark.parametrize("says_more", [True, False], ids=["sends", "is silent"])
def test_a_request_on_its_way_ends_when_its_backend_is_registered_for_another_user(says_more: bool) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("POST", "/", bodies=[b"first"], length="chunked", is_open=True)
        await bench.poll().done()
        fetch = bench.fetch("request-1")
        await turns()
        bench.store.put_backend(a_backend(end_user="another@example.org"))
        if says_more:
            user.say(b"second")
        await user.done()
        fetched = await fetch.done()

        assert (user.status, user.fields["X-Inverting-Proxy-Error"]) == (403, "not-allowed")
        assert (b"first" in fetched.body, b"second" in fetched.body, fetched.is_whole) == (True, False, False)
        assert not bench.store.has_exchange(BACKEND, RequestId("request-1"))

    run(scenario)


def test_a_backend_that_is_removed_meanwhile_is_a_broken_answer() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/")
        await turns()
        bench.store.delete_backend(BACKEND)

        assert ((await user.done()).status, user.is_whole) == (502, True)

    run(scenario)
