"""The options of a backend as a text."""

from hypothesis import given
from hypothesis import strategies as st

from broker.model import Options, Sharing
from stores.options import decode_options, encode_options

COUNTS = st.none() | st.integers(1, 10**6)
OPTIONS = st.builds(
    Options,
    agents=st.sampled_from(Sharing),
    max_exchanges=COUNTS,
    max_queue=COUNTS,
    shim_path=st.sampled_from(["", "websocket-shim", "a/b"]),
)


@given(OPTIONS)
def test_options_come_back_as_they_were(options: Options) -> None:
    assert decode_options(encode_options(options)) == options


def test_where_none_is_chosen_there_is_no_text() -> None:
    assert encode_options(Options()) == ""


def test_only_what_is_chosen_is_written() -> None:
    assert encode_options(Options(agents=Sharing.STICKY)) == '{"agents": "sticky"}'


def test_what_a_later_version_wrote_is_read_as_far_as_it_is_known() -> None:
    text = '{"agents": "by-weight", "maxQueue": "many", "maxExchanges": 3, "colour": "red"}'

    assert decode_options(text) == Options(max_exchanges=3)
