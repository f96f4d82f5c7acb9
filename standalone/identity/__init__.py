"""Who may do what at the stand-alone proxy.

    access      what stands at each door, as one value
    assembly    from settings to that
    gate        agents: which account may serve which backend
    accounts    agents and administrators by bearer tokens
    tokens      tokens of the proxy's own, and the file that lists their hashes
    issued      tokens of an OpenID provider
    throttle    who sends wrong ones again and again
    reception   users: the port of signing in, and the ways that need no pages
    listed      which users may come in
    portal      users who sign in at an OpenID provider: who comes in, and who is led there
    arriving    signing in: to the provider and back
    leaving     signing out
    desk        what these two have in common: rules, cookies, what can go wrong
    redemption  from the code that comes back to what the provider says of its user
    guests      sessions and attempts in cookies
    screens     the pages about signing out
    fronts      the field in which a proxy in front names users
    sign_in     signing in by OpenID Connect: what goes out and what must come back
    sessions    who is signed in, and for how long
    signed_out  who has ended that before its time
    session_keys the keys that seal
    sealing     values that only this proxy can read or make
    cookies     names and form of its cookies
    returning   where somebody goes after signing in
    pages       pages that somebody opens, and changes that another site makes
    origins     where browsers reach the proxy
    provider    an OpenID provider's description and keys
    id_tokens   what must be right about a token before it is believed
    fetching    requests to a provider, in threads
    encoding    bytes as words of a URL

What is not async is pure, or reads a small file. What speaks to a provider (`portal`, `issued`, and all below them) is
slow to import: only `assembly` does, and only where settings ask for one.
"""
