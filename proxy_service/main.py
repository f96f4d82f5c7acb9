"""The composition root: the service for users over Datastore or its emulator."""

import os

from google.cloud.ndb import Client

from broker.clock import SystemClock
from edge.composition import choose_identity
from edge.logs import configure_logging
from proxy_service.app import create_app
from proxy_service.removals import Removals
from proxy_service.settings import Settings
from stores.datastore.store import DatastoreStore
from stores.shared.assembly import choose_hints, with_waiter

settings = Settings.from_env(os.environ)
deployment = settings.deployment
configure_logging(deployment.log_format)

clock = SystemClock()
client = Client(project=deployment.project or None, namespace=deployment.namespace or None)
is_bundled = deployment.identity.kind == "appengine"
hints = choose_hints(deployment.memcache, is_bundled=is_bundled, namespace=deployment.namespace)
datastore = DatastoreStore(client, deployment.policy)
store, waiter = with_waiter(datastore, deployment.policy, hints)

app = create_app(
    store=store,
    waiter=waiter,
    clock=clock,
    identity=choose_identity(deployment.identity, clock),
    policy=deployment.policy,
    on_appengine=deployment.on_appengine,
    project=deployment.project,
    removals=Removals(datastore.delete_exchanges),
)
if is_bundled:
    from stores.shared.appengine_memcache import with_tickets

    app.wsgi_app = with_tickets(app.wsgi_app)  # type: ignore[assignment, method-assign]
