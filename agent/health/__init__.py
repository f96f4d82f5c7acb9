"""Is the backend healthy? Only then is there any sense in asking the proxy for requests.

    tracker   what a row of checks means; pure
    check     one check over HTTP
    watch     the loop: checks at intervals, and tells who has to know

Without health checks nothing here is used, and the agent asks from its start.
"""
