"""Where the records live: implementations of `broker.store.Store`, all under one contract suite.

    memory      in this process, under one lock; with the waiter that it wakes
    datastore   in Google Cloud Datastore, through ndb

May import `broker` and `wire`; `datastore` alone knows google.cloud.ndb. No store has a clock or waits.
"""
