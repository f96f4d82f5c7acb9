"""Which of several servers has a path: the longest prefix, on the limits of segments. Pure."""

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Routes(Generic[T]):
    """Path prefixes (`/`, `/api`, `/api/v2`; one slash at the end says the same) and what each leads to."""

    def __init__(self, prefixes: Iterable[tuple[str, T]], *, otherwise: T) -> None:
        """Raises `ValueError` for a prefix that does not begin with a slash, or that is given twice."""
        self._by_prefix: dict[str, T] = {}
        self._otherwise = otherwise
        for prefix, destination in prefixes:
            bare = prefix.removesuffix("/")
            if not prefix.startswith("/") or bare in self._by_prefix:
                raise ValueError(f"{prefix}: not a path, or given twice")
            self._by_prefix[bare] = destination

    def choose(self, target: str) -> T:
        """What the target of a request (RFC 9112 section 3.2) leads to; `*`, and what has no prefix, to `otherwise`.

        Bytes are compared, nothing is decoded or resolved: `/%61pi` is not `/api`, and `/api/../x` is below `/api`,
        because the target travels as it is and its server decides what it means.
        """
        path = _path_of(target)
        while path:
            if path in self._by_prefix:
                return self._by_prefix[path]
            path = path.rpartition("/")[0]
        # Only a path has the root above it.
        return self._otherwise if target == "*" else self._by_prefix.get("", self._otherwise)


def _path_of(target: str) -> str:
    path = target.partition("?")[0].partition("#")[0]
    if path.startswith("/"):
        return path
    _, slash, rest = path.partition("://")[2].partition("/")
    return slash + rest
