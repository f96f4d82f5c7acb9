"""What happens on App Engine past this machine: `python -m benchmarks.simulation [--keep]`, `docs/scaling.md`.

    __main__    the command line: every size in turn
    engine      simulated time: processes are generators that yield how long they wait
    datastore   Datastore as a model: latencies, what many write at once, versions
    inputs      every number that the model has, with where it comes from, and the designs that are compared
    services    many instances of the services and many agents, by the rules of `broker`
    measures    what is noted, and what it comes to
    document    the results: tables, plots, the page

Deterministic: a seed gives the same figures on every machine. Rules, policy and routing are those of `broker`; waiting
is written anew, because here a call to the store takes simulated time.
"""
