"""The word to the proxy that an agent asks no more: what is sent, and that no proxy's answer to it does any harm."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from agent.identity.credentials import Credentials, NoCredentials
from agent.identity.errors import CredentialsError
from agent.messages import Listed, id_of
from agent.poller import Poller
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.proxy.conversation import Conversation
from agent.seen import SeenIds
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool
from tests.agent.peers import Received, Wire, an_answer, answering, peer
from tests.timing import SECOND, wait_until


def a_client(url: str, credentials: Credentials | None = None) -> ProxyClient:
    return ProxyClient(
        HttpClient(ConnectionPool(url, size=4, connect_timeout=5 * SECOND)),
        url=url,
        identity=AgentIdentity("notebook", "agent-1", "test/1"),
        credentials=credentials or NoCredentials(),
        poll_limit=timedelta(seconds=20 * SECOND),
        jitter=lambda: 0.1,
        sleep=time.sleep,
    )


def left(serve: Callable[[Wire], None]) -> bool:
    with peer(serve) as proxy:
        return a_client(f"{proxy.url}/path/").polls.leave()


def test_a_proxy_that_knows_of_it_says_204() -> None:
    seen: list[Received] = []
    assert left(answering(b"HTTP/1.1 204 No Content\r\n\r\n", record=seen))
    assert seen[0].start == "DELETE /path/agent/pending HTTP/1.1"
    assert seen[0].get_all("X-Inverting-Proxy-Backend-ID") == ["notebook"]
    assert seen[0].get_all("X-Inverting-Proxy-Agent-ID") == ["agent-1"]
    # Without it, the original's stand-alone proxy would take the call for a poll.
    assert seen[0].get_all("X-Inverting-Proxy-Request-ID") == ["-"]


@pytest.mark.parametrize("status", [200, 301, 401, 404, 405, 500, 503])
def test_any_other_answer_means_that_nothing_was_taken_back(status: int) -> None:
    assert not left(answering(an_answer(b"[]", status=status)))


def test_a_connection_that_ends_does_no_harm() -> None:
    assert not left(answering())


def test_credentials_that_cannot_be_had_do_no_harm() -> None:
    class Broken(NoCredentials):
        def fields(self) -> list[tuple[str, str]]:
            raise CredentialsError("no token")

    with peer(answering()) as proxy:
        assert not a_client(proxy.url, Broken()).polls.leave()


def test_a_proxy_that_hears_it_in_silence_does_not_keep_the_agent() -> None:
    """As the original's App Engine proxy may, which takes it for a poll."""
    drained, gone, heard = threading.Event(), threading.Event(), []

    def serve(wire: Wire) -> None:
        heard.append(wire.read_message().start.partition(" ")[0])
        gone.wait(60 * SECOND)

    with peer(serve) as proxy:
        client = a_client(proxy.url)
        poller = Poller(
            Conversation(client), lambda listed, ended: ended(), seen=SeenIds(10), concurrency=1, jitter=lambda: 0.1,
            on_drained=drained.set,
        )  # fmt: skip
        poller.start()
        wait_until(lambda: heard, within=20 * SECOND, what="a poll")
        poller.stop()
        assert drained.wait(20 * SECOND)
        assert heard == ["GET", "DELETE"]
        gone.set()


def test_what_was_listed_and_not_begun_is_left_to_others_and_what_runs_is_finished() -> None:
    drained, finish, begun, calls = threading.Event(), threading.Event(), threading.Event(), []

    def serve(wire: Wire) -> None:
        while True:
            call = wire.read_message().start.partition(" ")[0]
            calls.append(call)
            wire.send(an_answer(b'["a","b","c"]') if call == "GET" else b"HTTP/1.1 204 No Content\r\n\r\n")

    ran: list[str] = []

    def run(listed: Listed, ended: Callable[[], None]) -> None:
        ran.append(id_of(listed))
        begun.set()
        finish.wait(20 * SECOND)
        ended()

    with peer(serve) as proxy:
        client = a_client(proxy.url)
        poller = Poller(
            Conversation(client), run, seen=SeenIds(10), concurrency=1, jitter=lambda: 0.1,
            on_drained=drained.set,
        )  # fmt: skip
        poller.start()
        assert begun.wait(20 * SECOND)
        running = poller.stop()
        wait_until(lambda: "DELETE" in calls, within=20 * SECOND, what="the word to the proxy")
        was_drained = drained.is_set()
        finish.set()
        assert drained.wait(20 * SECOND)
    assert (running, was_drained, ran, calls) == (1, False, ["a"], ["GET", "DELETE"])
