"""The cache that the services are tested with: it is one, and it fails."""

from collections import Counter
from pathlib import Path

from stores.shared.hints import CacheUnavailable
from stores.shared.memcached import Memcached
from tests.memcached import require_memcached
from tests.system.unreliable_memcached import start_unreliable_memcached


def ask(cache: Memcached, number: int) -> str:
    """What became of a value that was put."""
    try:
        cache.put("name", f"{number}".encode())
        found = cache.get_many(["name"]).get("name")
    except CacheUnavailable:
        return "failed"
    if found is None:
        return "evicted"
    # What comes too late for its client comes nevertheless, and may come over what is newer.
    return "kept" if found == f"{number}".encode() else "outdated"


def test_it_keeps_most_evicts_some_and_fails_at_times(tmp_path: Path) -> None:
    require_memcached()
    processes, address = start_unreliable_memcached(tmp_path, seed=1)
    host, _, port = address.partition(":")
    cache = Memcached(host, int(port))

    seen = Counter(ask(cache, number) for number in range(700))
    cache.close()
    for process in processes:
        process.kill()

    assert {"kept", "evicted", "failed"} <= set(seen) <= {"kept", "evicted", "failed", "outdated"}
    assert seen["kept"] > 350
