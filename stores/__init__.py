"""Where the records live: implementations of `broker.store.Store`, all under one contract suite.

    memory            in this process, under one lock; with the waiter that it wakes
    datastore         in Google Cloud Datastore, shared by all processes
      registrations     its half about backends
      exchange_records  how its exchanges lie there
      conditional       its calls: versions, conditional writes, errors

May import `broker` and `wire`; `datastore` and `conditional` alone know google.cloud.ndb. No store has a clock, and
none waits for anything but its service.
"""
