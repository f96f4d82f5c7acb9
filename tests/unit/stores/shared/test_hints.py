from collections.abc import Collection, Mapping

from broker.waiting import ExchangeKey, PendingKey
from stores.shared.hints import CacheUnavailable, Hints
from tests.factories import BACKEND, REQUEST
from wire.protocol import BackendId

KEY = ExchangeKey(REQUEST)
PENDING = PendingKey(BACKEND)


class FakeCache:
    """A `Cache` in memory that a test may break."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.is_broken = False
        self.calls = 0

    def get_many(self, names: Collection[str]) -> Mapping[str, bytes]:
        self._call()
        return {name: self.values[name] for name in names if name in self.values}

    def put(self, name: str, value: bytes) -> None:
        self._call()
        self.values[name] = value

    def _call(self) -> None:
        self.calls += 1
        if self.is_broken:
            raise CacheUnavailable("broken")


def test_of_a_key_that_nobody_changed_nothing_is_said() -> None:
    assert Hints(FakeCache()).read([KEY, PENDING]) == {}


def test_every_change_of_a_key_is_another_mark_and_of_that_key_alone() -> None:
    hints = Hints(FakeCache())
    marks = []
    for _ in range(3):
        hints.give(KEY)
        marks.append((hints.read([KEY, PENDING]) or {})[KEY].mark)

    assert len(set(marks)) == 3
    assert set(hints.read([KEY, PENDING]) or ()) == {KEY}


def test_what_is_carried_along_comes_as_it_was_given() -> None:
    hints = Hints(FakeCache())
    hints.give(KEY, b"an answer")
    hints.give(PENDING)

    assert {key: hint.carried for key, hint in (hints.read([KEY, PENDING]) or {}).items()} == {
        KEY: b"an answer",
        PENDING: b"",
    }


def test_after_an_eviction_the_next_change_is_another_mark() -> None:
    cache = FakeCache()
    hints = Hints(cache)
    hints.give(KEY)
    before = hints.read([KEY])
    cache.values.clear()
    hints.give(KEY)

    assert hints.read([KEY]) != before


def test_a_backend_and_an_exchange_of_one_name_are_two_keys() -> None:
    hints = Hints(FakeCache())
    hints.give(PendingKey(BackendId(REQUEST)))

    assert hints.read([KEY]) == {}


def test_no_name_in_the_cache_tells_an_id_and_namespaces_are_apart() -> None:
    cache = FakeCache()
    Hints(cache, namespace="one").give(KEY)

    assert Hints(cache, namespace="two").read([KEY]) == {}
    assert not any(REQUEST in name for name in cache.values)


def test_a_cache_that_fails_is_left_alone_for_a_second() -> None:
    cache, now = FakeCache(), [100.0]
    hints = Hints(cache, monotonic=lambda: now[0])
    cache.is_broken = True
    hints.give(KEY)
    assert hints.read([KEY]) is None
    assert cache.calls == 1

    cache.is_broken = False
    now[0] += 1.5
    assert hints.read([KEY]) == {}
