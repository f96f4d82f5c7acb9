"""Handlers of the agent as a server, so that a browser can be shown what they make of a backend's answers."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agent.messages import Request, Response, whole_body
from wire.headers import Headers, without_hop_by_hop
from wire.http1 import CHUNKED, RequestHead, ResponseHead, encode_body, encode_end, serialize_response_head
from wire.protocol import RequestId


class HandlerServer:
    """Serves `handler` on a free port, from construction until `stop`; keeps the heads of all requests."""

    def __init__(self, handler: Callable[[Request], Response]) -> None:
        self.requests: list[RequestHead] = []
        recorded = self.requests

        class Connection(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = without_hop_by_hop(Headers(self.headers.items()))
                body = self.rfile.read(int(headers.get("Content-Length") or 0))
                head = RequestHead(self.command, self.path, headers.without("Content-Length"), len(body) or None)
                recorded.append(head)
                response = handler(Request(RequestId("id"), "", head, body))
                self.answer(response)

            do_POST = do_HEAD = do_GET

            def answer(self, response: Response) -> None:
                head = response.head
                if head.length is None and head.status != 304:
                    head = ResponseHead(head.status, head.headers, CHUNKED)
                self.wfile.write(serialize_response_head(head))
                for event in response.events:
                    if isinstance(event, bytes):
                        self.wfile.write(encode_body(event, head.length))
                    else:
                        self.wfile.write(encode_end(event, head.length))

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def an_answer(body: bytes, *fields: tuple[str, str], status: int = 200) -> Response:
    """A page, or what the fields say that it is."""
    headers = Headers(fields)
    if "Content-Type" not in headers:
        headers = headers.adding(("Content-Type", "text/html; charset=utf-8"))
    return Response(ResponseHead(status, headers, len(body)), whole_body(body))
