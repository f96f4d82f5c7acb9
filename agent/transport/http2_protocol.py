"""HTTP/2's own state (RFC 9113), as h2 keeps it, with what the agent wants of it."""

from typing import Any, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event
from h2.settings import SettingCodes, Settings

from wire.protocol import MAX_HEAD_BYTES

STREAM_BYTES: Final = 256 * 1024
"""What a stream may receive before somebody reads it."""

MAX_STREAMS: Final = 128
"""Streams at a time on one connection, if the peer allows so many."""

# Enough for all streams, so that one that nobody reads does not stop the others.
_CONNECTION_BYTES: Final = MAX_STREAMS * STREAM_BYTES

_DECODED_BYTES: Final = 16 * MAX_HEAD_BYTES
"""What the fields of one answer may come to in memory, before they are refused."""

_INITIAL_WINDOW: Final = 65_535  # RFC 9113 section 6.9.2


class _Protocol(H2Connection):
    """h2, but for GOAWAY: it takes that for the end, while streams that the peer has begun with go on to theirs
    (RFC 9113 section 6.8)."""

    # Any: frames are hyperframe's, which is not ours to import.
    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[Event]]:
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        return [], [event]


def open_protocol() -> H2Connection:
    """The client's side of a new connection; what it says first is its output already."""
    # `http2_fields` checks what comes in and goes out: with h2's checks a bad answer would end all streams, and a bad
    # request would leave the compression of fields in disorder.
    config = H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_inbound_headers=False,
        normalize_inbound_headers=False,
        validate_outbound_headers=False,
    )
    protocol = _Protocol(config)
    protocol.local_settings = Settings(
        client=True,
        initial_values={
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_BYTES,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
        },
    )
    # An answer over the limit is refused by `http2_fields`, by itself: the decoder would end all streams for it.
    protocol.decoder.max_header_list_size = _DECODED_BYTES
    protocol.initiate_connection()
    protocol.increment_flow_control_window(_CONNECTION_BYTES - _INITIAL_WINDOW)
    return protocol
