"""h2 against itself: what a server sees of the agent's side."""

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, RemoteSettingsChanged, ResponseReceived
from h2.settings import SettingCodes

from agent.transport.http2_protocol import MAX_STREAMS, STREAM_BYTES, open_protocol

HEAD = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"h"), (b":path", b"/")]


def a_server() -> H2Connection:
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    return server


def test_a_server_may_send_as_much_as_is_kept_for_each_stream_and_pushes_nothing() -> None:
    server = a_server()

    (told, *_) = server.receive_data(open_protocol().data_to_send())

    assert isinstance(told, RemoteSettingsChanged)
    assert server.remote_settings.initial_window_size == STREAM_BYTES
    assert server.remote_settings[SettingCodes.ENABLE_PUSH] == 0
    assert server.outbound_flow_control_window == MAX_STREAMS * STREAM_BYTES


def test_streams_that_a_server_has_begun_with_go_on_after_it_says_that_it_goes() -> None:
    client, server, going = open_protocol(), a_server(), a_server()
    client.receive_data(server.data_to_send())
    client.send_headers(1, HEAD, end_stream=True)
    sent = client.data_to_send()
    for each in (server, going):  # h2 itself answers nothing more once it goes
        each.receive_data(sent)
        each.clear_outbound_data_buffer()

    going.close_connection(last_stream_id=1)
    left = client.receive_data(going.data_to_send())
    server.send_headers(1, [(b":status", b"200")], end_stream=True)
    answered = client.receive_data(server.data_to_send())

    assert [type(event) for event in left] == [ConnectionTerminated]
    assert ResponseReceived in [type(event) for event in answered]
