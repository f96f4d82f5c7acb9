"""HTTP in and out, shared by the services and by the stand-alone proxy.

    errors       one table: what went wrong → status, reason, words; and the answer that says so
    logs         one line a request; what may stand in a log
    repetitions  what a log would say again and again
    audit        one line for each change, and for each refusal
    agent_calls  the header fields of an agent's calls: who calls, of which request, what it is told
    departures   which agents have said that they ask for no more
    upgrades     requests that want another protocol: refused
    identity     who is calling: the port, and the simplest answer to it
    oidc         who is calling, by signed tokens: OpenID Connect and Identity-Aware Proxy
    certificates the public keys of those who sign
    appengine    who is calling, by App Engine's Users and OAuth APIs; the only module that knows App Engine
    settings     reading an environment: durations, sizes, names
    composition  the identity that settings ask for
    wsgi         WSGI environ → request head and body; answers → responses
    service      what the three Flask services do around each request

Only the last two know Flask and WSGI. May import `broker` and `wire`; never a store.
"""
