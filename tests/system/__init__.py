"""Real programs, talking over loopback: each scenario on both shapes of the product.

    processes   start a program from the environment of its own requirements, and be sure that it ends
    shapes      the stand-alone proxy, and the three App Engine services: one interface; sites: a backend behind one,
                served by agents that a test may start, stop and kill
    emulator    the Datastore emulator, ended with the test run
    backends    the peer and httpbin as processes
    peers       a backend that records what it sees and misbehaves as it is told
    rawhttp     an HTTP client made of a socket: framing is seen as it was sent
    old_agent   an agent as the original's, speaking version 1 by hand

Benchmarks may use all of it but `conftest`.
"""
