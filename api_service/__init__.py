"""The service that administrators talk to: which backends there are; and the sweep.

app        the calls
schema     JSON ⇄ backends
settings   what the environment says
main       the composition root
"""
