"""The agent: asks the proxy for requests, has its backend answer them, and posts the answers. It ships alone.

    __main__        the composition root: settings → clients → pipeline → poller; signals
    endings         signals, and the end of draining
    settings        the flags and their environment names; flags, durations: how they are read
    poller          the loop: list → skip what is known → hand to a bounded pool of threads; draining
    exchanges       one request from fetch to posted answer, and its line in the log
    pipeline        `Handler`, and the order in which handlers are put around each other; messages: what they pass
    hygiene         the header fields that pass; failures: the answers that the agent makes when its backend fails
    proxy_client    the three calls to the proxy, retried; proxy_errors: what it may say
    inner_request   the request inside a fetch; replay: an answer as a POST that can be sent again
    backend_client  one call to the backend
    http_client     HTTP/1.1 to one origin: calls, replies; the only place that reads and writes messages
    connections     the sockets under it, pooled by requests' adapter; transport_errors: what may happen to them
    credentials     who the agent is to the proxy; google_credentials, gcloud, vm_identity: where that comes from
    seen, backoff   IDs seen lately; how long to wait before the n-th retry

Imports nothing of ours but `wire`. Runs with urllib3 1.26 and 2.
"""
