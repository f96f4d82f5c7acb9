"""What an operator sees of the agent: counts, logs, the status port, Cloud Monitoring.

    observer      the measure points: what the rest of the agent calls
    record        the counts of one backend, and of the process
    condition     whether a backend is served, and if not, why
    logs          text or JSON, one line a request
    status_server the port: /healthz, /readyz, /metrics, /
    status_page   the HTML of /
    prometheus    the text of /metrics; prometheus-client is imported at the first call
    monitoring    counts by status code to Google's Cloud Monitoring, behind an optional extra
    assembly      what of it was asked for, put together; the rest is not imported

The rest of the agent imports `observer` and `logs` alone; the composition root `record` and `assembly` too.
"""
