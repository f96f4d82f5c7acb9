"""The service that administrators talk to: which backends there are; and the sweep.

app        the calls
schema     JSON ⇄ backends
fields     what a backend has, and what each of it must be
settings   what the environment says
main       the composition root
"""
