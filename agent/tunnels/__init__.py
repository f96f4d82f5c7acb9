"""Websockets as tunnels, through a proxy that carries them: nothing in them is read (`docs/protocol.md`, upgrades).

handler    the handshake with the backend, through sessions and hygiene, and what comes of it
opening    the tunnel to the proxy: one outbound connection for each websocket
splice     two sockets made one; all of them are served by one thread (`agent.shim.loop`)
table      the tunnels that are open: their number, and their end when the agent stops
assembly   all of this put together
"""
