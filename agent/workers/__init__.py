"""Further processes that serve the same backends: `--workers`. One interpreter keeps one core busy, and no more.

    helpers     the first worker's side: starts the others, once the proxy shares requests out; restarts, stops them
    helper      the program of the others
    messages    what the two say to each other, over a socket that both inherit
    command     how this program is started once more
    summing     the counts of all workers as those of one

The first worker is the process that the operator has started: it serves as it does alone, and signals, readiness, the
status port and Cloud Monitoring are its own. It starts the others when all its proxies speak version 2 of the protocol:
an older one may give a request to each that asks.
"""
