"""The administrators' calls, in the original's form: `/api/backends`, `/api/backends/ID`, `/cron/delete`.

Who calls is known by a bearer token, or by Identity-Aware Proxy's assertion, never by a cookie of ours. That proxy does
know browsers by a cookie, so nothing is changed for a foreign page either.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from flask import Flask, request
from werkzeug.routing import BaseConverter

from api_service.schema import InvalidBackend, decode_backend, encode_backend
from broker.errors import NotAllowed, UnknownBackend
from broker.model import Backend
from broker.policy import Policy
from broker.store import Store
from broker.waiting import Clock
from edge.audit import log_change
from edge.errors import Failure, Refusal
from edge.identity import Identity
from edge.service import make_service, new_request_id
from edge.wsgi import Environ, PlainResponse, caller_of, peer_of, read_body, request_head, whole, within
from wire.errors import MessageTooLarge
from wire.headers import Headers
from wire.protocol import BackendId, RequestId

MAX_JSON_BYTES: Final = 1 << 20
_READING: Final = ("GET", "HEAD")

_INVALID_BACKEND: Final = Failure(
    status=400,
    reason="invalid-backend",
    party="client",
    text="The JSON in the body is not a backend that can be registered: correct what the details name.",
)


class _AnyId(BaseConverter):
    """Whatever was registered once, slashes included: what is there can be deleted."""

    regex = ".+"
    part_isolating = False


def create_app(
    *,
    store: Store,
    clock: Clock,
    identity: Identity,
    policy: Policy,
    trusts_cron_field: bool,
    deletes_stale_backends: bool,
    has_options: bool = False,
    new_id: Callable[[], RequestId] = new_request_id,
    project: str = "",
) -> Flask:
    """The service. `trusts_cron_field`: it runs where the platform strips `X-Appengine-Cron` from what comes from
    outside. `deletes_stale_backends`: the sweep also removes registrations without an agent for `backend_gone`.
    `has_options`: backends may have those that the stand-alone proxy has."""
    app = make_service(
        "api_service", store=store, clock=clock, new_id=new_id, form_for=lambda accept: "json", project=project
    )
    app.url_map.converters["any_id"] = _AnyId
    admin = _Admin(store, clock, identity, policy, trusts_cron_field, deletes_stale_backends, has_options)

    @app.get("/api/backends")
    def list_backends() -> PlainResponse:
        return admin.list_backends(request.environ)

    @app.post("/api/backends")
    def add_backend() -> PlainResponse:
        return admin.add_backend(request.environ)

    @app.get("/api/backends/<any_id:backend_id>")
    def get_backend(backend_id: str) -> PlainResponse:
        return admin.get_backend(request.environ, BackendId(backend_id))

    @app.delete("/api/backends/<any_id:backend_id>")
    def delete_backend(backend_id: str) -> PlainResponse:
        return admin.delete_backend(request.environ, BackendId(backend_id))

    @app.route("/cron/delete", methods=["GET", "POST"])
    def sweep() -> PlainResponse:
        return admin.sweep(request.environ)

    return app


@dataclass(frozen=True, slots=True)
class _Admin:
    store: Store
    clock: Clock
    identity: Identity
    policy: Policy
    trusts_cron_field: bool
    deletes_stale_backends: bool
    has_options: bool

    def list_backends(self, environ: Environ) -> PlainResponse:
        self._require_admin(environ)
        return _as_json(self._encode(self.store.list_backends()))

    def add_backend(self, environ: Environ) -> PlainResponse:
        """Register, or replace; the body is read whatever its type, because `curl -d` names a form's."""
        admin = self._require_admin(environ)
        try:
            backend = decode_backend(_json_body(environ), has_options=self.has_options)
        except InvalidBackend as exc:
            raise Refusal(replace(_INVALID_BACKEND, details=exc.problems)) from exc
        self.store.put_backend(backend)
        log_change("put-backend", by=admin, peer=peer_of(environ), **_registered(backend))
        return _as_json(self._encode([backend])[0])

    def get_backend(self, environ: Environ, backend_id: BackendId) -> PlainResponse:
        self._require_admin(environ)
        return _as_json(self._encode([self.store.get_backend(backend_id)])[0])

    def delete_backend(self, environ: Environ, backend_id: BackendId) -> PlainResponse:
        admin = self._require_admin(environ)
        self.store.delete_backend(backend_id)
        log_change("delete-backend", by=admin, peer=peer_of(environ), backend=backend_id)
        return whole((200, Headers(), b""))

    def sweep(self, environ: Environ) -> PlainResponse:
        """Remove what was abandoned; for the platform's timer and for administrators."""
        headers = request_head(environ).headers
        if not (self.trusts_cron_field and headers.get_all("X-Appengine-Cron") == ["true"]):
            self._require_admin(environ)
        now = self.clock.now()

        def is_over() -> bool:
            return self.clock.now() - now >= self.policy.sweep_time

        exchanges = self.store.sweep(now=now, is_over=is_over)
        backends = self._delete_stale() if self.deletes_stale_backends else []
        return _as_json({"exchanges": exchanges, "backends": backends, "complete": not is_over()})

    def _delete_stale(self) -> list[str]:
        """The IDs of the registrations that went. One that no agent ever asked for stays: it may be new."""
        backends = [backend.backend_id for backend in self.store.list_backends()]
        limit = self.clock.now() - self.policy.backend_gone
        stale = [
            backend_id
            for backend_id, status in self.store.get_statuses(backends).items()
            if status.last_polled is not None and status.last_polled < limit
        ]
        return [backend_id for backend_id in sorted(stale) if self._delete_if_there(backend_id)]

    def _delete_if_there(self, backend_id: BackendId) -> bool:
        try:
            self.store.delete_backend(backend_id)
        except UnknownBackend:
            return False
        return True

    def _encode(self, backends: list[Backend]) -> list[dict[str, object]]:
        statuses = self.store.get_statuses([backend.backend_id for backend in backends])
        return [
            encode_backend(backend, status.last_used if (status := statuses.get(backend.backend_id)) else None)
            for backend in backends
        ]

    def _require_admin(self, environ: Environ) -> str:
        head = request_head(environ)
        admin = self.identity.admin(caller_of(environ, head))
        if head.method not in _READING:
            _refuse_foreign_page(head.headers)
        return admin


def _registered(backend: Backend) -> dict[str, str]:
    return {"backend": backend.backend_id, "backend_user": backend.backend_user, "end_user": backend.end_user}


def _refuse_foreign_page(headers: Headers) -> None:
    """Raises `NotAllowed` for a change that a page of another site asks for; programs say nothing of pages."""
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    is_foreign = site not in (None, "same-origin", "none")
    is_foreign = is_foreign or (origin is not None and origin.partition("://")[2] != headers.get("Host"))
    if is_foreign:
        raise NotAllowed("a page of another site may change nothing here", authenticated=True)


def _json_body(environ: Environ) -> bytes:
    slices = read_body(environ, request_head(environ).length)
    error = MessageTooLarge(f"a backend in JSON over the limit of {MAX_JSON_BYTES} bytes")
    return b"".join(within(slices, MAX_JSON_BYTES, error))


def _as_json(value: object) -> PlainResponse:
    headers = Headers([("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return whole((200, headers, json.dumps(value).encode() + b"\n"))
