"""The stand-alone proxy: users and agents, on one port or several, over the memory of one process.

    __main__       settings → parts → server
    settings/      what may be set: file, environment, command line
    composition    from settings to the parts
    summary        what the settings mean, in words
    listeners      sockets that accept connections
    entrances      from settings to the doors of each address
    doors          which door a request goes to: users', agents' or administrators'
    tls            the proxy's certificate
    files          what settings name as files, opened
    reloading      files that are read again when they change
    redirect       the application of an address that only sends clients to https
    proxy_protocol whose connection it is, which a proxy in front says before anything else
    fronted        accepting connections from such proxies
    peers          whom to believe what they say of their own clients
    service_manager  a word to systemd
    lifecycle      listening, and stopping without losing what is under way
    server         what is accepted as a request: the protocol class under uvicorn
    allocation     freed memory is kept for the next piece of a body
    responding     one request and its answer on a connection, and how one that breaks off is made to look broken
    outflow        what is written to a connection, and an end for a client that takes it too slowly
    pace           the least that a client must send
    crowd          how many connections there are from each address
    app            the ASGI application: which door a request goes to, errors, the log, housekeeping
    tokens         the command that makes, lists and revokes tokens
    identity/      who may do what: tokens, signing in, sessions, fields of a proxy in front
    calls          one request and its answer over ASGI, in the words of `wire`
    users          the door of end users: an exchange for each request
    request_body   the body of a user's request as it stands in the message that its agent gets
    agents         the door of agents: the calls of the protocol
    registration   open mode: any backend that an agent names exists
    abandoned      requests that agents work on and nobody waits for any more
    presence       which agents are there, and which have vanished
    waiting        the waiter of asyncio

The event loop's thread does everything: no lock is needed but the store's own.
"""
