"""Where the records live: implementations of `broker.store.Store`, all under one contract suite.

    memory      in the memory of one process
    sqlite      what of it outlives the process, in a file
    datastore   in Google Cloud Datastore, shared by all processes of the services
    shared      that store with what waits over it, for one of these processes
    options     the options of a backend as a text

May import `broker` and `wire`. Memory, file and Datastore know nothing of each other, and `datastore` alone knows
google.cloud.ndb. No store asks what time it is: `now` is an argument. By the monotonic clock grows old what a process
remembers of a service, and ends what it asks of it. None waits for anything but its service.
"""
