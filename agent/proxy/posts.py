"""Posts of small answers, whole: one by the call of version 1, several as a batch of version 2."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

from agent.proxy.client import RESPOND_RETRIES, ProxyClient
from agent.proxy.errors import Gone, ProxyError, refused, require_success
from agent.proxy.outbox import Answer
from agent.transport.errors import TransportError
from wire.batches import Entry, encode_end, encode_entry
from wire.errors import WireError
from wire.headers import Headers
from wire.negotiation import MAX_RECEIPT_BYTES, Receipt, batch_media_type, decode_receipt
from wire.protocol import ERROR, NO_REQUEST, REQUEST_ID, RESPONSE_MEDIA_TYPE, RESPONSE_PATH

logger = logging.getLogger(__name__)

_BOUNDARY: Final = "answer"
"""Of every batch: whoever reads one goes by the lengths of its parts."""

_NO_BATCH: Final = frozenset({400, 413, 431})
_NO_BATCHES: Final = frozenset({404, 405, 406, 415})
"""Statuses of a proxy that does not take this batch, and of one that takes none."""

_ALONE: Final = frozenset({"post-alone", "store-unavailable"})
"""Why an answer was refused that the call of version 1 may deliver."""


class _NotTaken(Exception):
    """The batch is to be taken apart; `is_for_good` if the next one is not worth a try."""

    def __init__(self, *, is_for_good: bool) -> None:
        super().__init__()
        self.is_for_good = is_for_good


class Posts:
    """Posts to the proxy; `on_refusal` is called when it does not take batches any more."""

    def __init__(self, client: ProxyClient, *, on_refusal: Callable[[], None]) -> None:
        self._client = client
        self._calls = client.calls
        self._on_refusal = on_refusal

    def post(self, answers: Sequence[Answer], before_pause: Callable[[], None]) -> None:
        """Deliver answers, and tell each what has become of it; `before_pause` is called when that takes longer."""
        if len(answers) > 1:
            answers = self._post_together(answers, before_pause)
        for answer in answers:
            self._post_alone(answer, before_pause)

    def _post_together(self, answers: Sequence[Answer], before_pause: Callable[[], None]) -> Sequence[Answer]:
        """The answers that have to be posted alone."""
        body = b"".join([encode_entry(_BOUNDARY, _entry_of(answer)) for answer in answers]) + encode_end(_BOUNDARY)
        try:
            receipt = self._calls.retried(
                lambda: self._send_batch(body), within=RESPOND_RETRIES, before_pause=before_pause
            )
        except _NotTaken as exc:
            logger.info("the proxy does not take answers together: each is posted alone")
            if exc.is_for_good:
                self._on_refusal()
            return answers
        except (ProxyError, TransportError) as exc:
            for answer in answers:
                answer.told(exc)
            return ()
        return [answer for answer in answers if not _tell(answer, receipt)]

    def _send_batch(self, body: bytes) -> Receipt:
        fields = (REQUEST_ID, NO_REQUEST), ("Content-Type", batch_media_type(_BOUNDARY))
        head = self._calls.head("POST", RESPONSE_PATH, *fields, length=len(body))
        began = time.monotonic()
        with closing(self._calls.call(head, body)) as reply:
            self._calls.round_trip.observe(time.monotonic() - began)
            if reply.head.status in _NO_BATCH | _NO_BATCHES:
                raise _NotTaken(is_for_good=reply.head.status in _NO_BATCHES)
            require_success(reply.head, target=head.target)
            try:
                return decode_receipt(reply.read(MAX_RECEIPT_BYTES))
            except WireError as exc:
                # As the original answers, to which this is a poll.
                raise _NotTaken(is_for_good=True) from exc

    def _post_alone(self, answer: Answer, before_pause: Callable[[], None]) -> None:
        try:
            self._client.post(answer.request_id, answer.data, failure=answer.failure, before_pause=before_pause)
        except (ProxyError, TransportError) as exc:
            answer.told(exc)
        else:
            answer.told(None)


def _entry_of(answer: Answer) -> Entry:
    fields = [(REQUEST_ID, str(answer.request_id)), ("Content-Type", RESPONSE_MEDIA_TYPE)]
    if answer.failure:
        fields.append((ERROR, answer.failure))
    return Entry(Headers(fields), answer.data)


def _tell(answer: Answer, receipt: Receipt) -> bool:
    """Tell an answer what a receipt says of it; False if that is not the last word."""
    if answer.request_id in receipt.delivered:
        answer.told(None)
        return True
    if answer.request_id in receipt.unknown:
        answer.told(Gone("the proxy knows of no such exchange"))
        return True
    reason = receipt.refused.get(answer.request_id)
    if reason is None or reason in _ALONE:
        return False
    answer.told(refused(reason))
    return True
