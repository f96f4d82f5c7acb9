"""The shim inside the whole agent: what waits there leaves room for ordinary requests, and ends with the agent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.server import Server, ServerConnection, serve

from tests.agent.peers import ProxyPeer, proxy_peer
from tests.agent.test_agent import an_agent, parse
from tests.timing import SECOND, wait_until

FLAGS = ("--shim-websockets", "--shim-path=shim", "--concurrency=2")
OPEN_SOCKETS = 30


def echo(websocket: ServerConnection) -> None:
    for message in websocket:
        websocket.send(message)


@contextmanager
def a_server() -> Iterator[Server]:
    with serve(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(20 * SECOND)


class Client:
    """A browser behind the proxy: adds requests, and finds the answers by their IDs."""

    def __init__(self, proxy: ProxyPeer) -> None:
        self.proxy = proxy
        self.added = 0
        self.answers: dict[str, tuple[int, bytes]] = {}

    def add(self, call: str, body: str) -> str:
        self.added += 1
        request_id = f"{call}-{self.added}"
        raw = f"POST /shim/{call} HTTP/1.1\r\nHost: x\r\nOrigin: https://x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        self.proxy.add(raw.encode(), request_id=request_id, user="user@example.com")
        return request_id

    def answer(self, request_id: str) -> Any:
        """Status and JSON of an answer, whichever others come before it."""
        while request_id not in self.answers:
            post = self.proxy.next_post().head
            head, body = parse(post.body)
            self.answers[post.get_all("X-Inverting-Proxy-Request-ID")[0]] = head.status, body
        status, body = self.answers.pop(request_id)
        return status, json.loads(body) if body[:1] in b"[{" else body


def test_polls_that_wait_take_no_slots_and_end_with_the_agent() -> None:
    with a_server() as server, proxy_peer() as proxy:
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        client = Client(proxy)
        with an_agent(proxy, url, *FLAGS) as agent:
            ids = []
            for _ in range(OPEN_SOCKETS):
                status, opened = client.answer(client.add("open", "ws://x/socket"))
                assert status == 200
                ids.append(opened["id"])
            polls = [client.add("poll", json.dumps({"id": each, "ack": 0})) for each in ids]
            wait_until(
                lambda: sum(call.target == "/agent/request" for call in proxy.calls) == 2 * OPEN_SOCKETS,
                within=20 * SECOND,
                what="all polls in the agent",
            )
            sent = client.answer(client.add("data", json.dumps([{"id": ids[0], "msg": "x", "n": 0}])))
            received = client.answer(polls[0])
            counted = agent.served.record.snapshot().shim_open
        rest = [client.answer(each) for each in polls[1:]]
    assert (sent, received) == ((200, b"ok"), (200, ["x"]))
    assert (counted, agent.served.record.snapshot().shim_open) == (OPEN_SOCKETS, 0)
    assert {(status, said["code"], said["reason"]) for status, said in rest} == {(400, 1001, "the agent stops")}
