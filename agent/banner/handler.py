"""Which requests get the frame, and what changes for the page in it."""

import re
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from agent.banner.departure import departure_of, render_departure
from agent.banner.frame import Frame
from agent.html.pages import SEC_FETCH_DEST, Place, is_attachment, media_type, place_of, varying
from agent.html.policies import allowing_frames_at_home
from agent.html.validators import CONDITIONS
from agent.messages import Request, Response, whole_body
from agent.pipeline import Handler
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead

_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})

# Of the answer that the frame replaces: what the browser keeps, and what the frame has to be for the page to be so.
_KEPT: Final = frozenset(
    {
        "set-cookie",
        "strict-transport-security",
        "cross-origin-opener-policy",
        "cross-origin-embedder-policy",
        "origin-agent-cluster",
    }
)

FRAMED_COOKIE: Final = "inverting-proxy-framed"
"""Set by the frame when it finds itself in a frame, for its next request; never reaches the backend."""

_FRAMED: Final = re.compile(rf"(?:^|;)\s*{FRAMED_COOKIE}=[^;]*")
_NOT_FRAMED_ANY_MORE: Final = f"{FRAMED_COOKIE}=; Path=/; Max-Age=0"


class Banner:
    """The handler that `showing_banner` makes; see there."""

    def __init__(self, handler: Handler, frame: Frame) -> None:
        self._handler = handler
        self._frame = frame

    def __call__(self, request: Request) -> Response:
        place = place_of(request.head)
        request, is_marked = _without_mark(request)
        if place is Place.UNKNOWN:
            # Who says nothing may be asked for again by the frame, with its own URL as `Referer`.
            is_inside = is_marked or _comes_from_here(request.head)
            place = Place.INNER if is_inside else Place.TOP
        if place is Place.TOP and request.head.method == "GET":
            response = self._show(request)
        elif place is Place.INNER:
            response = self._show_inside(request)
        else:
            response = self._handler(request)
        response = _varying(request.head, response)
        if is_marked:
            headers = response.head.headers.adding(("Set-Cookie", _NOT_FRAMED_ANY_MORE))
            response = replace(response, head=replace(response.head, headers=headers))
        return response

    def _show(self, request: Request) -> Response:
        """The frame, if the answer is a page. The answer itself is asked for whole: the frame is not what the client
        may have of it."""
        head = replace(request.head, headers=request.head.headers.without(*CONDITIONS))
        response = self._handler(replace(request, head=head))
        if not _is_to_be_framed(response):
            return response
        response.close()
        kept = response.head.headers.where(lambda name: name.lower() in _KEPT)
        return _page(self._frame.render(request.head.target), kept)

    def _show_inside(self, request: Request) -> Response:
        """The page alone, so that the frame can show it."""
        response = self._handler(request)
        if (address := departure_of(request.head, response.head)) is not None:
            response.close()
            return _page(render_departure(address), response.head.headers.where(lambda name: name.lower() in _KEPT))
        headers = allowing_frames_at_home(response.head.headers)
        return replace(response, head=replace(response.head, headers=headers))


def showing_banner(handler: Handler, *, banner: str, height: str, favicon_url: str) -> Handler:
    """Show `banner`, which is HTML, above every page that `handler` answers with; `favicon_url` is the tab's icon, or
    empty for the page's own.

    A GET for a page (see `agent.html.pages`) in a tab, answered by HTML with status 200 that is no attachment, gets the
    frame instead. The frame asks for the same URL again, and gets the page: `Sec-Fetch-Dest` tells the two apart. A
    browser that does not send it (an old one, or a current one over plain http) is taken to be inside the frame if it
    comes from this host (`Referer`). If it gets the frame where a frame is, the frame asks again with a cookie that
    says so, once; so frames never stand in frames. All else passes: errors, downloads, results of forms.

    So the backend is called twice for a page. That is deliberate: nobody knows before its answer that it is a page, and
    a frame around a download, a redirect or an error would be wrong. GET is safe (RFC 9110 section 9.2.1): to ask twice
    has no effect that the user did not ask for. HEAD would spare nothing, because many a backend does not know it. The
    first answer's body is not read, its cookies are kept. A page that can be seen only once is not for a backend with a
    banner.

    The frame is never cached and has none of the page's own fields, such as its policy. The page in the frame may be
    shown by a page of the same origin, even if it forbids all frames (X-Frame-Options, `frame-ancestors`); nobody else
    gains. A redirect in the frame to another site leads out of it.

    Raises `ValueError` for a height that is none.
    """
    return Banner(handler, Frame(banner=banner, height=height, favicon_url=favicon_url))


def _without_mark(request: Request) -> tuple[Request, bool]:
    """The request as the backend sees it, and whether the frame found itself in a frame."""
    headers = request.head.headers
    if not any(_FRAMED.search(value) for value in headers.get_all("Cookie")):
        return request, False
    cookies = [
        (name, _FRAMED.sub("", value).lstrip("; ") if name.lower() == "cookie" else value) for name, value in headers
    ]
    kept = Headers((name, value) for name, value in cookies if value or name.lower() != "cookie")
    return replace(request, head=replace(request.head, headers=kept)), SEC_FETCH_DEST not in headers


def _comes_from_here(head: RequestHead) -> bool:
    try:
        return urlsplit(head.headers.get("Referer") or "").netloc.lower() == (head.headers.get("Host") or "").lower()
    except ValueError:
        return False


def _is_page(response: Response) -> bool:
    return media_type(response.head.headers) in _PAGES


def _is_to_be_framed(response: Response) -> bool:
    is_whole = response.head.status == 200 and not response.failure
    return is_whole and _is_page(response) and not is_attachment(response.head.headers)


def _page(body: bytes, kept: Headers) -> Response:
    headers = Headers(
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            # The page's request shall say where it comes from, other sites shall not learn more than that.
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
            *kept,
        ]
    )
    return Response(ResponseHead(200, headers, len(body)), whole_body(body))


def _varying(request: RequestHead, response: Response) -> Response:
    """The answer, and what it depends on: a cached page must not be shown for the frame, nor the other way."""
    if request.method not in ("GET", "HEAD") or not _is_page(response):
        return response
    names = ("Sec-Fetch-Dest", "Accept", *(() if SEC_FETCH_DEST in request.headers else ("Referer",)))
    return replace(response, head=replace(response.head, headers=varying(response.head.headers, *names)))
