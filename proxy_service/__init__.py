"""The service that users talk to: a request becomes an exchange, and waits for its answer.

app        the one door for every method and path
answer     an exchange's answer as it comes in
settings   what the environment says
main       the composition root
"""
