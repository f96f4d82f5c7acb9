"""Changes that come at the same time share a call, and each thread hears what became of its own."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.cloud import datastore
from google.cloud.datastore_v1.types import datastore as api

from broker.errors import StoreUnavailable
from stores.datastore.calls import CallFailed, Code
from stores.datastore.conditional import Conflict, name_of, put
from stores.datastore.group_commit import AT_ONCE, MAX_CHANGES, GroupCommit
from tests.fakes.grpc_failure import Failure
from tests.timing import SECOND, wait_until


class Datastore:
    """Notes which names come together; each call waits until it may end, and ends as is said of its names."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.may_end = threading.Semaphore(0)
        self.refused: set[str] = set()
        """Of a group some are in conflict, and alone they are refused."""
        self.fails: dict[str, Exception] = {}

    def commit(self, mutations: Sequence[api.Mutation]) -> list[int]:
        [name] = self._begin(mutations)
        if name in self.refused:
            raise Conflict
        return [len(name)]

    def commit_each(self, mutations: Sequence[api.Mutation]) -> list[int | None]:
        return [None if name in self.refused else len(name) for name in self._begin(mutations)]

    def _begin(self, mutations: Sequence[api.Mutation]) -> list[str]:
        names = [name_of(mutation)[-1][1] for mutation in mutations]
        self.calls.append(names)
        assert self.may_end.acquire(timeout=10 * SECOND)
        for name in names:
            if name in self.fails:
                raise self.fails[name]
        return names


class Threads:
    """Commits, each in a thread, over a store that is slow."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.datastore = Datastore()
        service: Any = self.datastore
        self.commits = GroupCommit(service)
        self._pool = pool

    def begin(self, name: str) -> "Future[int]":
        """A change of an entity; it waits in the queue or has begun its call when this returns."""
        before = self._seen()
        entity = datastore.Entity(datastore.Key("kind", name, project="test"))
        version = self._pool.submit(self.commits.commit, put(entity))
        wait_until(lambda: self._seen() > before, within=10 * SECOND, what=name)
        return version

    def _seen(self) -> int:
        return sum(map(len, self.datastore.calls)) + len(self.commits._waiting)

    def end(self, calls: int = 100) -> None:
        self.datastore.may_end.release(calls)


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(64) as pool:
        threads = Threads(pool)
        yield threads
        threads.end()


def result(version: "Future[int]") -> int:
    return version.result(timeout=10 * SECOND)


def busy(threads: Threads) -> list["Future[int]"]:
    """As many calls as may be under way."""
    return [threads.begin(f"busy{number}") for number in range(AT_ONCE)]


def test_a_change_that_finds_nobody_at_work_goes_at_once(threads: Threads) -> None:
    versions = busy(threads)
    assert threads.datastore.calls == [[f"busy{number}"] for number in range(AT_ONCE)]
    threads.end()
    assert [result(version) for version in versions] == [5] * AT_ONCE


def test_what_comes_meanwhile_goes_together_when_a_call_has_ended(threads: Threads) -> None:
    busy(threads)
    versions = [threads.begin(name) for name in ("a", "bb", "ccc")]
    threads.end()
    assert [result(version) for version in versions] == [1, 2, 3]
    assert threads.datastore.calls[AT_ONCE:] == [["a", "bb", "ccc"]]


def test_no_more_go_together_than_is_good_for_a_call(threads: Threads) -> None:
    busy(threads)
    versions = [threads.begin(f"{number:02}") for number in range(MAX_CHANGES + 1)]
    threads.end()
    assert [result(version) for version in versions] == [2] * (MAX_CHANGES + 1)
    assert [len(names) for names in threads.datastore.calls[AT_ONCE:]] == [MAX_CHANGES, 1]


def test_two_changes_of_one_entity_never_go_together(threads: Threads) -> None:
    busy(threads)
    versions = [threads.begin(name) for name in ("a", "a", "b")]
    threads.end()
    assert [result(version) for version in versions] == [1, 1, 1]
    assert threads.datastore.calls[AT_ONCE:] == [["a", "b"], ["a"]]


def test_one_that_is_in_conflict_does_not_hold_up_the_others(threads: Threads) -> None:
    threads.datastore.refused = {"a"}
    busy(threads)
    refused, other = threads.begin("a"), threads.begin("b")
    threads.end()
    assert result(other) == 1
    with pytest.raises(Conflict):
        result(refused)


@pytest.mark.parametrize("code", [Code.ALREADY_EXISTS, Code.ABORTED, Code.INVALID_ARGUMENT])
def test_where_one_lets_the_call_fail_each_goes_alone(threads: Threads, code: grpc.StatusCode) -> None:
    threads.datastore.fails = {"a": CallFailed(Failure(code))}
    busy(threads)
    failing, other = threads.begin("a"), threads.begin("b")
    threads.end()
    assert result(other) == 1
    with pytest.raises(CallFailed, match=code.name):
        result(failing)
    assert threads.datastore.calls[AT_ONCE:] == [["a", "b"], ["a"], ["b"]]


@pytest.mark.parametrize("error", [CallFailed(Failure(Code.UNAVAILABLE)), StoreUnavailable("x"), TypeError("x")])
def test_a_service_that_is_away_is_not_asked_again_for_each(threads: Threads, error: Exception) -> None:
    threads.datastore.fails = {"a": error}
    busy(threads)
    versions = [threads.begin("a"), threads.begin("b")]
    threads.end()
    for version in versions:
        with pytest.raises(type(error)):
            result(version)
    assert threads.datastore.calls[AT_ONCE:] == [["a", "b"]]


def test_who_waits_for_a_call_that_gets_no_answer_does_not_wait_for_another(threads: Threads) -> None:
    threads.datastore.fails = {"busy0": CallFailed(Failure(Code.DEADLINE_EXCEEDED))}
    busy(threads)
    waiting = [threads.begin(f"{number:02}") for number in range(MAX_CHANGES + 1)]
    threads.end()
    for version in waiting:
        with pytest.raises(CallFailed, match="DEADLINE_EXCEEDED"):
            result(version)
    assert result(threads.begin("later")) == 5
    assert threads.datastore.calls[AT_ONCE:] == [["later"]]


def test_after_an_error_others_get_their_turn(threads: Threads) -> None:
    threads.datastore.fails = {f"busy{number}": TypeError("x") for number in range(AT_ONCE)}
    busy(threads)
    waiting = threads.begin("a")
    threads.end()
    assert result(waiting) == 1
    assert result(threads.begin("b")) == 1
