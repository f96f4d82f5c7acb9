"""Websockets through agents that take no upgrades: the proxy is the websocket's server, and what passes are requests.

    messages   the bodies of the shim's calls, as `agent/shim/__init__.py` says; no I/O
    calls      one call: a request to the agent's shim, in the user's name
    page       the user's websocket: frames in, frames out
    session    one websocket, from the agent's `open` on
    opening    who gets one

The format is that of google/inverting-proxy, so that its agents do, with `shim-path` in the backend's options. Imported
when the first such websocket is opened: it takes the library websockets.
"""
