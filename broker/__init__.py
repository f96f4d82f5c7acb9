"""What happens to a request between its user and an agent: the rules, pure.

    model       the records, frozen
    policy      every number, in one object
    exchange    the life of one request: states, transitions, what an agent may do with it
    routing     which backend serves a user, a host and a path
    hosts       names of hosts, and which of them a registration means
    assignment  which of several agents gets a request
    affinity    what keeps a browser with one of them
    quotas      who may queue one more request
    forwarding  which header fields travel on, and which are ours to set
    store       the contract of a store, in prose
    registrations   where backends outlive a store in memory
    waiting     the loops that wait: for work, for bytes, for an answer
    intake      from a request head to a queued exchange
    answers     what an agent posts, and what a client is sent of it
    batches     what goes into a batch of requests, and what becomes of the answers in one
    bounded     a map that holds so many keys and no more
    errors      what can go wrong, and who failed
    clock       the only real time in the package; imported by composition roots alone

No I/O, no clock, no lock. May import `wire`.
"""
