"""Agents that vanish, and agents that share a backend."""

import json
import threading
import time
from collections import Counter

from tests.standalone.by_hand import OK, Agent, ask
from tests.standalone.conftest import Start
from tests.system.rawhttp import call, get
from tests.timing import SECOND

GRACE = 5  # `standalone.presence.GRACE`


def test_users_of_an_agent_that_is_killed_learn_so_within_seconds(start: Start) -> None:
    """What may be repeated goes to the next agent, what may not is answered 502, and then the backend is offline."""
    _, url = start()
    first, second = Agent(url), Agent(url, agent_id="agent-2")
    poll = first.open_call("GET", "/agent/pending")
    time.sleep(0.1)
    with ask(url, "GET") as reader, ask(url, "POST", fields=[("Content-Length", "0")]) as writer:
        fetched = 0
        while fetched < 2:
            for request_id in json.loads(poll.read_reply().body):
                first.fetch(request_id)
                fetched += 1
            poll.close()
            poll = first.open_call("GET", "/agent/pending")
        time.sleep(0.1)
        poll.close()  # as the kernel does for a process that is killed
        killed = time.monotonic()
        refused = writer.read_reply()
        request_id, _ = second.take()
        second.post(request_id, OK)
        repeated = reader.read_reply()

        assert (refused.status, refused.reason, repeated.body) == (502, "agent-lost", b"ok")
        assert time.monotonic() - killed < GRACE + 3 * SECOND


def test_a_backend_without_agents_is_offline_within_seconds(start: Start) -> None:
    _, url = start()
    poll = Agent(url).open_call("GET", "/agent/pending")
    time.sleep(0.1)
    poll.close()
    time.sleep(GRACE + 1.5)
    began = time.monotonic()
    reply = get(url, "/")

    assert (reply.status, reply.reason) == (503, "no-agent")
    assert time.monotonic() - began < 0.5 * SECOND


def test_each_request_is_executed_by_one_of_two_agents(agent: Agent) -> None:
    total = 300
    executed: Counter[bytes] = Counter()
    statuses: list[int] = []
    agents = [agent, Agent(agent.url, agent_id="agent-2", backend_id=agent.backend_id)]

    def work(worker: Agent) -> None:
        while len(statuses) < total:
            with worker.open_call("GET", "/agent/pending") as poll:
                reply = poll.read_reply()
            for request_id in json.loads(reply.body) if reply.status == 200 else ():
                executed[worker.fetch(request_id).body.split(b" ")[1]] += 1
                worker.post(request_id, OK)

    def use(first: int) -> None:
        for number in range(first, total, 30):
            statuses.append(call(agent.url, "POST", f"/{number}", body=b"").status)

    workers = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in agents]
    users = [threading.Thread(target=use, args=(first,)) for first in range(30)]
    for thread in [*workers, *users]:
        thread.start()
    for user in users:
        user.join(20 * SECOND)

    assert (len(executed), set(executed.values()), statuses) == (total, {1}, [200] * total)
