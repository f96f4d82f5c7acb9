"""The stand-alone proxy: users and agents, on one port or several, over the memory of one process.

    __main__       settings → parts → server
    composition    from settings to the parts
    app            the ASGI application: which door a request goes to, errors, the log, housekeeping
    connections/   what comes over sockets: listeners, TLS, the protocol class under uvicorn
    doors/         users', agents' and administrators': what a request does behind each
    identity/      who may do what: tokens, signing in, sessions, fields of a proxy in front
    websockets/    handshakes of users, tunnels to agents, and the shim's resources with agents that have no tunnels
    settings/      what may be set: file, environment, command line
    process/       what a process has of its own: memory, descriptors, files that change, a service manager
    calls          one request and its answer over ASGI, in the words of `wire`
    pace           the least that a client must send
    waiting        the waiter of asyncio
    presence       which agents are there, and which have vanished
    rights         what was allowed and may end: agents that may not serve any more
    abandoned      requests that agents work on and nobody waits for any more
    registration   open mode: any backend that an agent names exists
    peers          whom to believe what they say of their own clients
    storage        where registrations are kept
    files          what settings name as files, opened
    summary        what the settings mean, in words
    advice         what they allow and hardly anybody wants
    tokens         the command that makes, lists and revokes tokens

The event loop's thread does everything: no lock is needed but the store's own.
"""
