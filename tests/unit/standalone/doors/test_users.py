from broker.policy import Policy
from tests.factories import BACKEND
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


def test_a_running_body_over_the_limit_ends_the_exchange() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = await bench.start("POST", "/", bodies=[b"12", b"34", b"5"], length="chunked").done()

        assert (user.status, user.fields["X-Inverting-Proxy-Error"]) == (413, "too-large")
        assert not bench.store.has_exchange(BACKEND, RequestId("request-1"))

    run(scenario, Policy(max_body_bytes=4))


def test_a_backend_that_is_removed_meanwhile_is_a_broken_answer() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/")
        await turns()
        bench.store.delete_backend(BACKEND)

        assert ((await user.done()).status, user.is_whole) == (502, True)

    run(scenario)
