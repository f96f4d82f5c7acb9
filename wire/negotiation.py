"""Who speaks version 2 of the protocol, and what is said beside a batch.

Content types alone tell the versions apart: a proxy that is asked for `multipart/mixed` and knows it answers with it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from wire.errors import MalformedMessage, MessageTooLarge
from wire.protocol import CAPACITY, RequestId, is_valid_request_id

ACCEPT: Final = "multipart/mixed, application/json;q=0.5"
"""What a poll of version 2 accepts: batches, and the list of version 1."""

MAX_NAMES_LENGTH: Final = 4096
"""The longest list of names in a field."""

MAX_RECEIPT_BYTES: Final = 1 << 16
"""The longest receipt that an agent reads; one of the longest names and reasons has half of it."""

_MULTIPART: Final = "multipart/mixed"

# RFC 2046 section 5.1.1; without quotes, what RFC 9110 section 5.6.2 takes for a token.
_BATCH_TYPE: Final = re.compile(
    r"""multipart/mixed[ \t]*;[ \t]*boundary=(?:"([0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-])"|"""
    r"""([0-9A-Za-z'+_.-]{1,70}))""",
    re.IGNORECASE,
)
_NO_WEIGHT: Final = re.compile(r"0(?:\.0{0,3})?")
_COUNT: Final = re.compile(r"[1-9][0-9]{0,5}")


def accepts_batches(accept: str | None) -> bool:
    """True when `Accept` names `multipart/mixed`; a `*/*` does not."""
    return any(_is_wanted(item) for item in (accept or "").lower().split(",") if _MULTIPART in item)


def _is_wanted(item: str) -> bool:
    media_type, *parameters = (piece.strip() for piece in item.split(";"))
    weights = [parameter[2:].strip() for parameter in parameters if parameter.startswith("q=")]
    return media_type == _MULTIPART and not any(_NO_WEIGHT.fullmatch(weight) for weight in weights)


def batch_media_type(boundary: str) -> str:
    """The `Content-Type` of a batch."""
    return f"multipart/mixed; boundary={boundary}"


def boundary_of(content_type: str | None) -> str | None:
    """The boundary of a batch; None when the body is none. Raises `MalformedMessage` for a batch without one."""
    if (content_type or "").partition(";")[0].strip().lower() != _MULTIPART:
        return None
    match = _BATCH_TYPE.fullmatch(content_type or "")
    if match is None:
        raise MalformedMessage("Content-Type: multipart/mixed without a boundary, or with other parameters")
    return match[1] or match[2]


def parse_capacity(text: str | None, *, most: int) -> int:
    """How many requests an agent can take: between 1 and `most`, which is also what no word means.

    Raises `MalformedMessage`."""
    if text is None:
        return most
    if _COUNT.fullmatch(text) is None:
        raise MalformedMessage(f"{CAPACITY}: not a number from 1 to 999999")
    return min(int(text), most)


def parse_welcome(text: str | None) -> int:
    """How many a proxy takes at a time, in `POLLS` or `FETCHES`: one if it does not say so, or not as a number."""
    return int(text) if text is not None and _COUNT.fullmatch(text) else 1


def encode_names(names: Iterable[str]) -> str:
    """IDs as the value of a field."""
    return " ".join(names)


def decode_names(text: str | None, *, field: str) -> frozenset[str]:
    """The IDs in the value of `field`; none where it is absent. Raises `MalformedMessage`, or `MessageTooLarge` over
    `MAX_NAMES_LENGTH`."""
    names = (text or "").split(" ") if text else []
    if len(text or "") > MAX_NAMES_LENGTH:
        raise MessageTooLarge(f"{field}: over {MAX_NAMES_LENGTH} characters", status_hint=431)
    if not all(is_valid_request_id(name) for name in names):
        raise MalformedMessage(f"{field}: not names of visible ASCII characters with one space between them")
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What has become of the answers in a batch."""

    delivered: tuple[RequestId, ...] = ()
    """Stored to their ends."""
    unknown: tuple[RequestId, ...] = ()
    """Nobody waits for these."""
    refused: Mapping[RequestId, str] = field(default_factory=dict)
    """Why the others were not taken: a reason for each, as in `X-Inverting-Proxy-Error`."""


def encode_receipt(receipt: Receipt) -> bytes:
    """The body of the answer to a batch: JSON."""
    said = {"delivered": receipt.delivered, "unknown": receipt.unknown, "refused": dict(receipt.refused)}
    return json.dumps(said, separators=(",", ":")).encode("ascii")


def decode_receipt(body: bytes) -> Receipt:
    """The receipt in the body of an answer. Raises `MessageTooLarge` over `MAX_RECEIPT_BYTES`, and `MalformedMessage`
    for anything but a receipt; members that are not known here are passed over."""
    if len(body) > MAX_RECEIPT_BYTES:
        raise MessageTooLarge(f"receipt of a batch: {len(body)} bytes, at most {MAX_RECEIPT_BYTES} are read")
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise MalformedMessage(f"receipt of a batch: not JSON: {exc}") from exc
    if not isinstance(decoded, dict):
        raise MalformedMessage("receipt of a batch: not a JSON object")
    refused = decoded.get("refused", {})
    if not isinstance(refused, dict) or not all(isinstance(reason, str) for reason in refused.values()):
        raise MalformedMessage("receipt of a batch: refused is not an object of reasons")
    return Receipt(
        _request_ids(decoded.get("delivered", []), member="delivered"),
        _request_ids(decoded.get("unknown", []), member="unknown"),
        dict(zip(_request_ids(list(refused), member="refused"), refused.values(), strict=True)),
    )


def _request_ids(items: object, *, member: str) -> tuple[RequestId, ...]:
    if not isinstance(items, list):
        raise MalformedMessage(f"receipt of a batch: {member} is not a list")
    if not all(isinstance(item, str) and is_valid_request_id(item) for item in items):
        raise MalformedMessage(f"receipt of a batch: {member} names what is not a request ID")
    return tuple(RequestId(item) for item in items)
