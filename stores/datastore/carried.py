"""Whole answers on their way through a cache, as the entities that hold them: who waits for one asks Datastore no more.

An answer that has come to its end never changes, and it is stored before it is carried. The entity's version comes with
it, so that the deletion that follows needs no look-up either. The request stays out of the cache: who waits for its
answer has it.

A digest goes before it, because caches, and what lies between, do not promise that bytes stay what they were. It is no
signature: who can write into the cache can answer users.
"""

import hashlib
from dataclasses import replace
from typing import Final

from broker.waiting import ExchangeKey, Key
from stores.datastore.conditional import Versioned, decode, encode
from stores.datastore.exchange_records import Layout, Record
from stores.datastore.exchange_streams import Stream
from stores.datastore.recent_records import RecentRecords

_DIGEST_BYTES: Final = 8


class CarriedAnswers:
    """What this process gives along with the news of an exchange, and what it learns from that of others."""

    def __init__(self, layout: Layout, recent: RecentRecords) -> None:
        self._layout = layout
        self._recent = recent

    def pack(self, key: Key) -> bytes:
        """The exchange as this process has just stored it, if its whole answer lies in its entity; or else nothing."""
        record = self._recent.find(key.request_id) if isinstance(key, ExchangeKey) else None
        if record is None or not _has_whole_answer(record):
            return b""
        carried = replace(record, request=_without_bytes(record.request))
        data = encode(Versioned(self._layout.entity(carried), record.version))
        return _digest(data) + data

    def learn(self, key: Key, data: bytes) -> None:
        """Remember it for whoever waits for it here. What cannot be read, or is no news, is as good as nothing."""
        known = self._recent.find(key.request_id) if isinstance(key, ExchangeKey) else None
        digest, carried = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if known is None or digest != _digest(carried):
            return
        try:
            record = self._layout.record(decode(carried))
        except ValueError:
            return
        if record is not None and _is_news(record, known):
            self._recent.put(replace(record, request=known.request), fresh="answer")


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _is_news(record: Record, known: Record) -> bool:
    is_the_same = record.exchange[:2] == known.exchange[:2] and record.request == _without_bytes(known.request)
    return is_the_same and record.version > known.version and _has_whole_answer(record)


def _has_whole_answer(record: Record) -> bool:
    return record.answer.ended and not record.answer.names


def _without_bytes(stream: Stream) -> Stream:
    return replace(stream, inline=b"")
