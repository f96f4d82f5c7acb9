"""The Datastore API beneath ndb: entities with their versions, and writes that happen only if nothing has changed.

Lookups and queries tell the version of each entity. A commit may name the version that a change was computed from, and
the service refuses it when another write came first: a conditional write costs one call, where a transaction costs
three.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.api_core.gapic_v1 import routing_header
from google.cloud import datastore
from google.cloud.datastore import helpers
from google.cloud.datastore_v1.types import datastore as api
from google.cloud.datastore_v1.types import entity as entities
from google.cloud.datastore_v1.types import query as queries
from google.cloud.ndb import Client
from google.protobuf.message import DecodeError

from stores.datastore.calls import CONTENDED, TIMEOUT, UNCLEAR, CallFailed, Code, repeat

MAX_MUTATIONS: Final = 400
"""Datastore takes 500 changes in a commit (cloud.google.com/datastore/docs/concepts/limits)."""

_VERSION_BYTES: Final = 8
_PAGE: Final = 300
_LOOKUP: Final = 500
_READ_WITHIN: Final = 1.0
"""Seconds after which nothing is read again, not even what the service gave up by itself: somebody waits."""
REFUSED: Final = frozenset({Code.FAILED_PRECONDITION, Code.ALREADY_EXISTS})
"""How a change is refused that has a condition. Elsewhere they mean other things: an index that is missing, say."""

_FAIL: Final[Any] = api.Mutation.ConflictResolutionStrategy.FAIL

EQUAL: Final = queries.PropertyFilter.Operator.EQUAL
FROM: Final = queries.PropertyFilter.Operator.GREATER_THAN_OR_EQUAL
UP_TO: Final = queries.PropertyFilter.Operator.LESS_THAN_OR_EQUAL
Filter = tuple[str, Any, Any]


class Conflict(Exception):
    """Another write came first; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Versioned:
    """An entity, and which of its states this is."""

    entity: datastore.Entity
    version: int


def insert(entity: datastore.Entity) -> api.Mutation:
    """Write an entity that must not be there."""
    return api.Mutation(insert=helpers.entity_to_protobuf(entity))


def put(entity: datastore.Entity) -> api.Mutation:
    """Write an entity, whatever is there."""
    return api.Mutation(upsert=helpers.entity_to_protobuf(entity))


def replace(entity: datastore.Entity, version: int) -> api.Mutation:
    """Write an entity over one state of it."""
    return api.Mutation(upsert=helpers.entity_to_protobuf(entity), base_version=version)


def delete(key: datastore.Key, version: int | None = None) -> api.Mutation:
    """Remove an entity: in one state of it, or whatever is there."""
    mutation = api.Mutation(delete=key.to_protobuf())
    if version is not None:
        mutation.base_version = version
    return mutation


def name_of(mutation: api.Mutation) -> tuple[tuple[str, str], ...]:
    """The names of kinds and entities, from the root to what the mutation changes."""
    change = mutation._pb
    key = (
        change.delete
        if change.HasField("delete")
        else (change.insert if change.HasField("insert") else change.upsert).key
    )
    return tuple((element.kind, element.name) for element in key.path)


def encode(versioned: Versioned) -> bytes:
    """An entity and its version, for `decode`."""
    entity: bytes = helpers.entity_to_protobuf(versioned.entity)._pb.SerializeToString()
    return versioned.version.to_bytes(_VERSION_BYTES, "big") + entity


def decode(data: bytes) -> Versioned:
    """What was encoded. Raises `ValueError` for anything else."""
    try:
        entity = entities.Entity.pb().FromString(data[_VERSION_BYTES:])
    except DecodeError as exc:
        raise ValueError("not an encoded entity") from exc
    if not entity.HasField("key"):
        raise ValueError("an entity without a key")
    return Versioned(helpers.entity_from_protobuf(entity), int.from_bytes(data[:_VERSION_BYTES], "big"))


class Datastore:
    """The calls, each with an end: `StoreUnavailable` when the service fails or takes too long."""

    def __init__(self, client: Client, *, timeout: float = TIMEOUT) -> None:
        self._client = client
        self._timeout = timeout
        self._database = client.database or ""
        routing = {"project_id": client.project} | ({"database_id": self._database} if self._database else {})
        self._metadata = (routing_header.to_grpc_metadata(routing),)

    def key(self, *path: str) -> datastore.Key:
        """The key of kinds and names in turn."""
        where = {"project": self._client.project, "namespace": self._client.namespace, "database": self._database}
        return datastore.Key(*path, **{name: value for name, value in where.items() if value})

    def lookup(self, keys: Sequence[datastore.Key], *, timeout: float | None = None) -> dict[datastore.Key, Versioned]:
        """What is there of these, strongly consistent. `timeout`: in seconds, of a single attempt."""
        found: dict[datastore.Key, Versioned] = {}
        for start in range(0, len(keys), _LOOKUP):
            wanted = [key.to_protobuf() for key in keys[start : start + _LOOKUP]]
            while wanted:
                request = self._request(api.LookupRequest, keys=wanted)
                response = self._read(self._client.stub.lookup, request, timeout=timeout)
                for result in response.found:
                    entity = helpers.entity_from_protobuf(result.entity._pb)
                    found[entity.key] = Versioned(entity, result.version)
                wanted = list(response.deferred)
        return found

    def query(
        self,
        kind: str,
        *filters: Filter,
        order: str = "",
        keys_only: bool = False,
        page: int = _PAGE,
    ) -> Iterator[list[Versioned]]:
        """The pages of a query, none of them empty; asked for as they are needed."""
        query = queries.Query(
            kind=[{"name": kind}],
            filter={"composite_filter": {"op": "AND", "filters": [_filter(*each) for each in filters]}}
            if filters
            else None,
            order=[{"property": {"name": order}}] if order else [],
            projection=[{"property": {"name": "__key__"}}] if keys_only else [],
            limit=page,
        )
        partition = self.key(kind, "any").to_protobuf().partition_id
        is_whole = False
        while not is_whole:
            request = self._request(api.RunQueryRequest, partition_id=partition, query=query)
            batch = self._read(self._client.stub.run_query, request).batch
            results = [
                Versioned(helpers.entity_from_protobuf(each.entity._pb), each.version) for each in batch.entity_results
            ]
            query.start_cursor = batch.end_cursor
            is_whole = not results or (
                len(results) < page and batch.more_results != queries.QueryResultBatch.MoreResultsType.NOT_FINISHED
            )
            if results:
                yield results

    def commit(self, mutations: Iterable[api.Mutation], *, timeout: float | None = None) -> list[int]:
        """Make all changes or none, and return the new versions. Raises `Conflict`. `timeout`: in seconds, in place of
        that of all calls."""
        changes = list(mutations)
        for change in changes:
            if "base_version" in change:
                change.conflict_resolution_strategy = _FAIL
        request = self._request(
            api.CommitRequest,
            mode="TRANSACTIONAL",
            mutations=changes,
            single_use_transaction={"read_write": {}},
        )
        # What was computed from a state is not sent again blindly, but computed again.
        is_computed = any("base_version" in change for change in changes)
        try:
            response = self._call(
                self._client.stub.commit,
                request,
                repeatable=frozenset() if is_computed else CONTENDED,
                timeout=timeout,
            )
        except CallFailed as failed:
            is_refused = failed.code in REFUSED and (is_computed or any("insert" in change for change in changes))
            if is_refused or (is_computed and failed.code in CONTENDED):
                raise Conflict from failed
            raise
        return [result.version for result in response.mutation_results]

    def commit_each(self, mutations: Sequence[api.Mutation]) -> list[int | None]:
        """Make each change that is not in conflict; its new version, or None for the others."""
        # In one order everywhere: the service locks one after the other, and two callers must not wait for each other.
        places = sorted(range(len(mutations)), key=lambda place: name_of(mutations[place]))
        versions: dict[int, int | None] = {}
        for start in range(0, len(places), MAX_MUTATIONS):
            here = places[start : start + MAX_MUTATIONS]
            changes = [mutations[place] for place in here]
            request = self._request(api.CommitRequest, mode="NON_TRANSACTIONAL", mutations=changes)
            results = self._call(self._client.stub.commit, request, repeatable=CONTENDED).mutation_results
            versions |= {
                place: None if result.conflict_detected else result.version
                for place, result in zip(here, results, strict=True)
            }
        return [versions[place] for place in range(len(mutations))]

    def _request(self, kind: Callable[..., Any], **fields: Any) -> Any:
        return kind(project_id=self._client.project, database_id=self._database, **fields)

    def _read(self, method: Callable[..., Any], request: Any, *, timeout: float | None = None) -> Any:
        """A call that does no harm twice. Raises `CallFailed`."""
        within = _READ_WITHIN if timeout is None else 0
        return self._call(method, request, repeatable=UNCLEAR, within=within, timeout=timeout)

    def _call(
        self,
        method: Callable[..., Any],
        request: Any,
        *,
        repeatable: frozenset[grpc.StatusCode],
        within: float = math.inf,
        timeout: float | None = None,
    ) -> Any:
        """Call, and call again after errors that are `repeatable`, `within` so many seconds. Raises `CallFailed`."""

        def call() -> Any:
            try:
                return method(request, timeout=timeout or self._timeout, metadata=self._metadata)
            except grpc.RpcError as exc:
                raise CallFailed(exc) from exc

        return repeat(call, after=repeatable, within=within)


def _filter(name: str, operator: Any, value: Any) -> dict[str, Any]:
    holder = datastore.Entity()
    holder["value"] = value
    stored = helpers.entity_to_protobuf(holder).properties["value"]
    return {"property_filter": {"property": {"name": name}, "op": operator, "value": stored}}
