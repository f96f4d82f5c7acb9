"""The composition root: the service for administrators over Datastore or its emulator."""

import os

from google.cloud.ndb import Client

from api_service.app import create_app
from api_service.settings import Settings
from broker.clock import SystemClock
from edge.composition import choose_identity
from edge.logs import configure_logging
from stores.datastore.store import DatastoreStore

settings = Settings.from_env(os.environ)
deployment = settings.deployment
configure_logging(deployment.log_format)

clock = SystemClock()
client = Client(project=deployment.project or None, namespace=deployment.namespace or None)

app = create_app(
    store=DatastoreStore(client, deployment.policy),
    clock=clock,
    identity=choose_identity(deployment.identity, clock),
    policy=deployment.policy,
    trusts_cron_field=deployment.on_appengine,
    deletes_stale_backends=settings.deletes_stale_backends,
    project=deployment.project,
)
