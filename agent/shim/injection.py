"""A script put into every page that the backend answers with, in front of all else that runs there."""

import hashlib
import logging
from dataclasses import replace
from typing import Final

from agent.html.codings import can_decode, codings_of, decoded
from agent.html.insertion import inserting
from agent.html.pages import Place, is_ascii_compatible, is_attachment, media_type, place_of, varying
from agent.html.policies import Policy, allowing_connections_home, allowing_script, changing_policies, hash_source
from agent.html.scan import HeadScan
from agent.html.validators import asking_for_changed, marked, unmarked
from agent.messages import Request, Response
from agent.pipeline import Handler
from wire.headers import Headers
from wire.http1 import CHUNKED, ResponseHead

logger = logging.getLogger(__name__)

# What a browser shows as a page: every answer with a body of its own. Redirects have none that is shown, and 206 is a
# part of something.
_WITHOUT_PAGE: Final = frozenset({204, 205, 206})

# What no longer holds of a page with a script in it.
_STALE: Final = ("Content-Encoding", "Accept-Ranges", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest")


class Injection:
    """The handler that `injecting` makes; see there."""

    def __init__(self, handler: Handler, script: bytes) -> None:
        is_plain = script.isascii() and b"\r" not in script and b"\0" not in script
        if not is_plain or b"</script" in script.lower() or b"<!--" in script:
            raise ValueError("script: not one that can stand in a page as it is")
        self._handler = handler
        self._insert = b"<script>%b</script>" % script
        self._source = hash_source(script)
        self._mark = f"-shim-{hashlib.sha256(script).hexdigest()[:8]}"

    def __call__(self, request: Request) -> Response:
        if request.head.method not in ("GET", "HEAD"):
            return self._pass_by(request)
        if place_of(request.head) is Place.NOWHERE:
            return _varying(self._pass_by(request))
        headers = asking_for_changed(request.head.headers, self._mark).without("Accept-Encoding")
        headers = headers.adding(("Accept-Encoding", "identity"))
        has_page = "If-None-Match" in headers
        response = self._handler(replace(request, head=replace(request.head, headers=headers)))
        if response.head.status == 304 and has_page:
            # The client has a page with the script, and takes over what these fields say of it.
            return replace(response, head=replace(response.head, headers=self._change(response.head.headers)))
        if response.failure or not _is_page(response.head):
            return response
        if reason := _reason_to_pass(response.head):
            logger.debug("%.8s no script in this page: %s", request.request_id, reason)
            return _varying(response)
        return self._inject(request, response)

    def _pass_by(self, request: Request) -> Response:
        """No page is asked for. A tag of ours may still come back, to say which state shall be overwritten."""
        headers = unmarked(request.head.headers, "If-Match", self._mark)
        return self._handler(replace(request, head=replace(request.head, headers=headers)))

    def _inject(self, request: Request, response: Response) -> Response:
        codings = codings_of(response.head.headers)
        is_head = request.head.method == "HEAD"
        # How long the page will be is known only when its head has been found.
        head = ResponseHead(response.head.status, self._change(response.head.headers), None if is_head else CHUNKED)
        if is_head:
            return replace(response, head=head)
        events = inserting(decoded(response.events, codings), self._insert, HeadScan())
        return replace(response, head=head, events=events)

    def _change(self, headers: Headers) -> Headers:
        """The fields of a page, as they are with the script in it."""
        changed = marked(changing_policies(headers.without(*_STALE), self._allow), self._mark)
        return varying(changed, "Sec-Fetch-Dest", "Accept")

    def _allow(self, policy: Policy) -> None:
        allowing_script(policy, self._source)
        allowing_connections_home(policy)


def injecting(handler: Handler, *, script: bytes) -> Handler:
    """Put `<script>` with this text at the start of the head of every page that `handler` answers with.

    A page is what a GET that says it is for a page (see `agent.html.pages`) is answered with, when that is `text/html`,
    whatever its status but 204, 205, 206 and 3xx, and no attachment; HEAD gets the fields that GET would get. It flows
    on while it comes. These pages pass as they are, and the debug log says why: in UTF-16 and other encodings that are
    not of ASCII, in codings that are not known here (`br`, `zstd`; the backend is asked for none), without any byte,
    and those that hide their start behind 64 KiB of comments.

    Content-Security-Policy lets the script run, by its hash, and lets it call its own origin (`connect-src`). Policies
    in `<meta>` come after the script and cannot keep it from running; one whose `connect-src` leaves out `'self'` keeps
    it from calling.

    Cached copies stay right: the entity tag carries a mark of this script, a condition without the mark does not reach
    the backend, and `Vary` tells pages from what scripts fetch. `Cache-Control` is left as it is, also `no-transform`,
    which binds those between; the agent speaks for the backend.

    Raises `ValueError` for a script that cannot stand in a page of every encoding: it is ASCII, ends its lines with LF,
    and has no `</script` and no `<!--`.
    """
    return Injection(handler, script)


def _is_page(head: ResponseHead) -> bool:
    is_shown = 200 <= head.status < 300 or 400 <= head.status < 600
    return (
        is_shown
        and head.status not in _WITHOUT_PAGE
        and media_type(head.headers) == "text/html"
        and not is_attachment(head.headers)
    )


def _reason_to_pass(head: ResponseHead) -> str:
    """Why a page gets no script; empty if it gets one."""
    if not is_ascii_compatible(head.headers):
        return "its encoding is not one of ASCII"
    if not can_decode(codings_of(head.headers)):
        return "its content coding is not known, and the backend did not heed that none was asked for"
    return ""


def _varying(response: Response) -> Response:
    """A page without the script, which must not be taken for one with it."""
    if not _is_page(response.head):
        return response
    return replace(
        response, head=replace(response.head, headers=varying(response.head.headers, "Sec-Fetch-Dest", "Accept"))
    )
