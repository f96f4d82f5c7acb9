from standalone.connections.lifecycle import configure
from standalone.connections.server import ProxyProtocol


async def nothing(scope: object, receive: object, send: object) -> None:
    """An application that does nothing."""


def test_the_server_adds_nothing_to_an_answer_and_believes_no_forwarded_fields() -> None:
    config = configure(nothing, ProxyProtocol)
    config.load()

    assert (config.encoded_headers, config.date_header, config.proxy_headers) == ([], False, False)
    assert (config.http_protocol_class, config.ws_protocol_class) == (ProxyProtocol, None)
