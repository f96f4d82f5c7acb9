import pytest

from standalone.lifecycle import ListenError, configure, listen, url_of
from standalone.server import ProxyProtocol


async def nothing(scope: object, receive: object, send: object) -> None:
    """An application that does nothing."""


@pytest.mark.loopback
def test_a_listener_says_where_it_listens() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.loopback
def test_a_port_in_use_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ListenError, match=f"port {port} on 127.0.0.1 is in use"):
            listen("127.0.0.1", port)


def test_the_server_adds_nothing_to_an_answer_and_believes_no_forwarded_fields() -> None:
    config = configure(nothing, ProxyProtocol)
    config.load()

    assert (config.encoded_headers, config.date_header, config.proxy_headers) == ([], False, False)
    assert (config.http_protocol_class, config.ws_protocol_class) == (ProxyProtocol, None)
