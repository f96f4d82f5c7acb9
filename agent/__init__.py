"""The agent: asks the proxy for requests, has its backend answer them, and posts the answers. It ships alone.

    __main__        the program: settings → fleet → endings
    composition     what the settings ask for, put together: the services, one for each backend
    handling        what answers the requests of one backend, put together
    service         what serves one backend: its poller and what goes with it
    process/        what a process has of its own: the fleet of its services, how it ends, memory, a word to systemd
    workers/        further processes that serve the same
    healthcheck     a program of its own: the health check of the image
    poller          the loop: ask → skip what is known → run; seen, backoff: its memory
    runs            what runs and what is to; slots, crew: room and threads for it
    together        several requests in one thread
    exchanges       one request from fetch to posted answer, and its line in the log
    pipeline        `Handler`, and the order in which handlers are put around each other; messages: what they pass
    hygiene         the header fields that pass; failures: the answers that the agent makes when its backend fails
    backend_client  one call to the backend: the innermost handler; routing: which server has a path
    settings/       the flags, and what each takes; commandline/: how texts become settings
    identity/       who the agent is to the proxy
    proxy/          the calls to the proxy
    transport/      HTTP/1.1 and HTTP/2 to one origin, under both
    shim/           websockets over ordinary requests
    html/           what the agent knows of pages: enough to put a script into one, and one into a frame
    banner/         a banner above every page
    sessions/       the backend's cookies, kept here
    health/         is the backend healthy?
    telemetry/      what an operator sees: logs, the status port, Cloud Monitoring

Imports nothing of ours but `wire`. Runs with urllib3 1.26 and 2.
"""
