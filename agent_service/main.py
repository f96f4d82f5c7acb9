"""The composition root: the service for agents over Datastore or its emulator."""

import os

from google.cloud.ndb import Client

from agent_service.app import create_app
from agent_service.settings import Settings
from broker.clock import SystemClock
from edge.composition import choose_identity
from edge.logs import configure_logging
from stores.datastore.store import DatastoreStore
from stores.shared.assembly import choose_hints, with_waiter

settings = Settings.from_env(os.environ)
deployment = settings.deployment
configure_logging(deployment.log_format)

clock = SystemClock()
client = Client(project=deployment.project or None, namespace=deployment.namespace or None)
is_bundled = deployment.identity.kind == "appengine"
hints = choose_hints(deployment.memcache, is_bundled=is_bundled, namespace=deployment.namespace)
store, waiter = with_waiter(DatastoreStore(client, deployment.policy), deployment.policy, hints)

app = create_app(
    store=store,
    waiter=waiter,
    clock=clock,
    identity=choose_identity(deployment.identity, clock),
    policy=deployment.policy,
    gives_requests=False,  # App Engine does not tell of connections that break
    project=deployment.project,
)
if is_bundled:
    from stores.shared.appengine_memcache import with_tickets

    app.wsgi_app = with_tickets(app.wsgi_app)  # type: ignore[assignment, method-assign]
