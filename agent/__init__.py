"""The agent: asks the proxy for requests, has its backend answer them, and posts the answers. It ships alone.

    __main__        the composition root: settings → clients → pipeline → poller
    settings        the flags, and what each takes; read by commandline/
    endings         signals, and the end of draining
    poller          the loop: list → skip what is known → hand to a bounded pool of threads; seen, backoff: its memory
    exchanges       one request from fetch to posted answer, and its line in the log
    pipeline        `Handler`, and the order in which handlers are put around each other; messages: what they pass
    hygiene         the header fields that pass; failures: the answers that the agent makes when its backend fails
    backend_client  one call to the backend: the innermost handler
    proxy/          the three calls to the proxy
    transport/      HTTP/1.1 to one origin, under both
    identity/       who the agent is to the proxy

Imports nothing of ours but `wire`. Runs with urllib3 1.26 and 2.
"""
