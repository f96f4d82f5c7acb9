"""The service that agents talk to: the calls of the protocol, version 1.

app        the calls
settings   what the environment says
main       the composition root
"""
