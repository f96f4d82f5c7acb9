"""The vectors as values."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wire.batches import Entry
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Vector:
    """Bytes, and what they say."""

    name: str
    raw: bytes
    expected: dict[str, Any]

    def request_head(self) -> RequestHead:
        """The expected head of a request."""
        said = self.expected
        return RequestHead(said["method"], said["target"], _headers(said["headers"]), said["length"])

    def response_head(self) -> ResponseHead:
        """The expected head of a response."""
        said = self.expected
        return ResponseHead(said["status"], _headers(said["headers"]), said["length"])

    def body(self) -> bytes:
        """The expected body."""
        return str(self.expected["body"]).encode("latin-1")

    def trailers(self) -> Headers:
        """The expected trailers."""
        return _headers(self.expected["trailers"])

    def entries(self) -> list[Entry]:
        """The expected entries of a batch."""
        return [
            Entry(_headers(said["headers"]), said["message"].encode("latin-1")) for said in self.expected["entries"]
        ]

    def __str__(self) -> str:
        return self.name


def read_vectors(kind: str) -> list[Vector]:
    """All vectors of a folder, by name. Raises `FileNotFoundError` for one that lacks its other half."""
    raws = sorted((_HERE / kind).glob("*.http"))
    return [Vector(raw.stem, raw.read_bytes(), json.loads(raw.with_suffix(".json").read_text())) for raw in raws]


def _headers(pairs: list[list[str]]) -> Headers:
    return Headers((name, value) for name, value in pairs)
