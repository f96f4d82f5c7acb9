import pytest

from stores.shared.hints import CacheUnavailable
from tests.fakes.cache import UnreliableCache


class Memory(dict[str, bytes]):
    """A `Cache` that never fails."""

    def get_many(self, names: object) -> "Memory":
        return self

    def put(self, name: str, value: bytes) -> None:
        self[name] = value


def seen(share: float, *, seed: int = 1) -> list[bytes | None]:
    """What is read after each of many values that are put; None where the cache did not answer."""
    cache = UnreliableCache(Memory(), share=share, seed=seed)
    values: list[bytes | None] = []
    for number in range(300):
        try:
            cache.put("name", f"{number}".encode())
            values.append(cache.get_many(["name"]).get("name", b""))
        except CacheUnavailable:
            values.append(None)
    return values


def test_with_a_share_of_nothing_it_is_a_cache() -> None:
    assert seen(0) == [f"{number}".encode() for number in range(300)]


def test_it_fails_evicts_loses_and_delays() -> None:
    values = seen(0.1)

    assert None in values and b"" in values
    numbers = [int(value) for value in values if value]
    assert numbers != sorted(numbers), "what was put late stands where newer was"
    assert len(set(numbers)) < len(numbers), "what was lost leaves the older"


@pytest.mark.parametrize("seed", [1, 2])
def test_one_seed_is_one_course(seed: int) -> None:
    assert seen(0.1, seed=seed) == seen(0.1, seed=seed) != seen(0.1, seed=3)
