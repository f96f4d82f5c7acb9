"""Who may do what at the stand-alone proxy.

    access      what stands at each door, as one value
    assembly    from settings to that
    gate        agents: which account may serve which backend
    accounts    agents and administrators by bearer tokens
    tokens      tokens of the proxy's own, and the file that lists their hashes
    issued      tokens of an OpenID provider
    throttle    who sends wrong ones again and again
    reception   users: the port of signing in, and the ways that need no pages
    fronts      the field in which a proxy in front names users
    sign_in     signing in by OpenID Connect: what goes out and what must come back
    sessions    who is signed in, and for how long
    sealing     values that only this proxy can have made
    cookies     names and form of its cookies
    returning   where somebody goes after signing in
    pages       pages that somebody opens, and changes that another site makes
    origins     where browsers reach the proxy
    provider    an OpenID provider's description and keys
    id_tokens   what must be right about a token before it is believed
    fetching    requests to a provider, in threads
    watched     a file that is read again when it changes
    encoding    bytes as words of a URL

What is not async is pure, or reads a small file. `id_tokens`, `issued`, `provider` and `fetching` are slow to import:
only `assembly` imports them, and only where settings ask for a provider.
"""
