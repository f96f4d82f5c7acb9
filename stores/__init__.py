"""Where the records live: implementations of `broker.store.Store`, all under one contract suite.

    memory            in this process, under one lock; with the waiter that it wakes
      queues            what it knows of the exchanges of a backend
      window            the bytes of one message there
      known_backends    its registrations, for many readers
    sqlite            where its registrations outlive the process, in a file
      sqlite_schema     the tables of that file, from version to version
      sqlite_sign_outs  who has signed out, in the same file
    options           the options of a backend as a text, for both below and above
    bounded           a map that holds so many keys and no more, likewise
    datastore         in Google Cloud Datastore, shared by all processes
      registrations     its half about backends
      lately              what it remembers of them
      notes               when it is time to note that one was polled or used
      exchange_records  how its exchanges lie there
      exchange_streams  where the bytes of one message lie there
      recent_records    what a process remembers of them
      exchange_changes  how a rule is applied to one there
      exchange_parts    how their bytes get there and back, a few calls at a time
      exchange_removal  how they leave in numbers: the sweep
      conditional       their calls: versions, conditional writes
      group_commit      several of these in one call
      named             what was named to agents and is not fetched yet
      carried           whole answers on their way through a cache
      exchange_marks    where many of them stand, in one call
      calls             what all calls have in common: ends, errors, repetitions
    shared            that store with what waits over it, for one process of the services
      telling           tells waiters of every change
      queue_looks       when a poll need not look
      shared_waiter     looks for all that wait in a process at once
      hints             marks in a cache, which say that it is worth looking
      memcached         such a cache
      appengine_memcache   another

May import `broker` and `wire`; of them `datastore` and what is below it alone know google.cloud.ndb. No store asks
what time it is: `now` is an argument. By the monotonic clock grows old what a process remembers of a service, and ends
what it asks of it. None waits for anything but its service.
"""
