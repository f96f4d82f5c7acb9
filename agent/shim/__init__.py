"""Websockets through a proxy that carries none: the page's websocket is a series of POSTs, the backend's is a real one.

    protocol         the messages of the POSTs; no I/O
    message_headers  header fields put into messages; no I/O
    mailbox          what the backend sent and the page has not confirmed yet
    sessions         the open websockets, and whose they are
    connection       one websocket to the backend; handshake: how it begins; loop: the one thread that serves them all
    handler          open, data, poll and close; assembly: all of this put together
    page/            the script that replaces `WebSocket` in the page; injection: how it gets there

# The wire format

All under `/{shim-path}/`, POST, JSON in UTF-8. It is the original's (google/inverting-proxy, `agent/websockets`), so
that its page works with this agent and our page with its agent. What the original does not know is marked *ours*: it
is ignored by those who do not know it, and whoever uses it must not rely on it unless `open` said `"ack": true`.

## open

Request: the websocket's URL as plain text; only its path and query count. Header `X-Websocket-Shim-Version: 1` (none:
0). *Ours*: header `X-Websocket-Shim-Protocols: chat, superchat`, the subprotocols that the page offers, in its order.

200 `{"id": "…", "msg": "ws://host/path?query", "v": 1, "s": "chat", "ack": true}`
    `id` opaque text; `msg` the URL with the path as the backend knows it, and not the backend's address; `v` absent for
    version 0; `s` the accepted subprotocol, absent or `""` for none; `ack` *ours*: this agent numbers messages.
any other status: not opened, and no `CloseEvent` of the backend to report: code 1006, reason "". The body is the error
    object below; its `status` is what the backend answered to the handshake, if it answered.

## data

Request: a list of messages for one session, in order: `[{"id": "…", "msg": M, "n": 0}, …]`, at most 1,000 of them and
16 MiB in all. `M` is a string for a text message and a list of one string for a binary one: base64 in version 1, in
version 0 the text itself. `n` *ours*: the message's number, 0 for the first one of a session, then 1, 2, …; all or none
of a list's messages have it. With numbers a POST whose answer was lost, or that failed, can be sent again as it was:
what was taken already is skipped.

200 `ok`: all were taken, and go to the backend in order.
400 with `code` in the body: the session is closed or unknown, for good.
400 without `code`: the list is malformed; nothing of it was taken; the session lives on. 409 likewise, *ours*: `n`
    leaves a gap, the error object's `taken` says which number is expected.
413: too large, and nothing was taken. 503: the backend does not read, and has not for 20 s; `taken` in the error object
    says how many messages of the session were taken in all. With numbers: wait a little and send again.

## poll

Request: `{"id": "…", "ack": 17}`. `ack` *ours*: how many messages of this session the page has received so far in all.
The answer begins with the message of that number: one whose answer was lost is sent again. Without `ack`, messages
count as received when their answer has been handed on to the proxy: if it gets lost behind that, so are they. A new
poll of a session ends an older one that waits (with 408): one page polls.

200 `[M, …]`: at least one message, in order, as in `data`.
408: none within 20 s, or half the idle limit if that is less. Poll again.
400 with `code` in the body: closed or unknown, for good; the messages before the end have been delivered by earlier
    polls. When the agent stops it is 1001. A page that sends no `ack` and asks again all the same, as the original's
    does without a pause, gets its answer only after some seconds.

A page that gets anything else (502, 504, no answer at all, 400 without `code`) polls again after a growing pause. With
the original's agent every 400 is final: it has no JSON body; treat it as code 1006, or as 1000 after `close`.

## close

Request: `{"id": "…", "code": 3000, "reason": "…", "n": 18}`; `code` (1000, 1001 or 3000 to 4999; browsers say 1001 when
the page ends) and `reason` (at most 123 bytes in UTF-8) *ours* and optional: without them the backend gets a close
frame without a code, as from a browser. What was taken by `data` is sent to it first; what the backend still sends is
dropped. `n` *ours*, for a page that cannot wait for the answers to its `data` because it ends: how many messages it has
sent in all. Requests overtake each other, so the agent closes when it has taken as many, and after 2 s in any case.

200 `ok`, when the closing handshake has begun, which goes on behind it. A page that wants the backend's code and reason
    polls until 400, which comes within some seconds.
400 with `code`: was closed or unknown already; the body says how. 400 without `code`: malformed; the session lives on.

## The error object

Every answer but 200 and 408 has a JSON body, `Content-Type: application/json`:

    {"error": "what is wrong, for people", "code": 1000, "reason": "…", "clean": true, "status": 403, "taken": 18}

`error` is always there. `code`, `reason`, `clean` together, and only when the session has ended: what a `CloseEvent`
shows (1005 for a close frame without a code, 1006 for a connection that broke, and for an unknown session). `status`
only after a refused handshake: a 4xx is the answer's own status too, anything else makes it 502. `taken` as above. 403
without `status`: a request from another origin. 404: no such call. 405: not a POST. 429 without `status`: too many
websockets. Answers are never cached, and never have anything to do with another user's session.
"""
