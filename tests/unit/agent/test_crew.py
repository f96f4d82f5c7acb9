"""Threads that do what they are given."""

import queue
import threading
import weakref

from agent.crew import Crew
from tests.timing import MS, SECOND, wait_until


def test_tasks_run_side_by_side() -> None:
    together = threading.Barrier(3)
    ran: queue.Queue[int] = queue.Queue()
    crew = Crew("exchange")
    for number in range(3):
        crew.run(lambda number=number: (together.wait(10 * SECOND), ran.put(number)))  # type: ignore[misc]
    assert sorted(ran.get(timeout=10 * SECOND) for _ in range(3)) == [0, 1, 2]


def test_a_thread_that_is_free_is_used_again() -> None:
    ran: queue.Queue[int] = queue.Queue()
    crew = Crew("exchange")
    crew.run(lambda: ran.put(threading.get_ident()))
    first = ran.get(timeout=10 * SECOND)
    wait_until(lambda: crew._idle, within=10 * SECOND, what="a free thread", every=1 * MS)
    crew.run(lambda: ran.put(threading.get_ident()))
    assert ran.get(timeout=10 * SECOND) == first


def test_a_thread_that_nobody_needs_ends() -> None:
    threads: queue.Queue[threading.Thread] = queue.Queue()
    Crew("exchange", idle=1 * MS).run(lambda: threads.put(threading.current_thread()))
    thread = threads.get(timeout=10 * SECOND)
    thread.join(10 * SECOND)
    assert not thread.is_alive()


def test_no_task_is_lost_to_a_thread_that_is_about_to_end() -> None:
    ran: queue.Queue[int] = queue.Queue()
    crew = Crew("exchange", idle=0.0)
    for number in range(500):
        crew.run(lambda number=number: ran.put(number))  # type: ignore[misc]
    assert sorted(ran.get(timeout=10 * SECOND) for _ in range(500)) == list(range(500))


def test_a_thread_that_waits_keeps_nothing_of_what_it_has_done() -> None:
    class Work:
        """Something large."""

        def __call__(self) -> None:
            pass

    crew = Crew("exchange")
    work = Work()
    kept = weakref.ref(work)
    crew.run(work)
    del work

    wait_until(lambda: crew._idle and kept() is None, within=10 * SECOND, what="work that is forgotten", every=1 * MS)
