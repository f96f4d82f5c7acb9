"""Websockets of users.

handshake      an exchange like any other; what follows it is a tunnel
tunnels        agents' ends that have come, users' ends that wait for them, and all that are open
shim/          the way with agents that take no upgrades: the proxy is the websocket's server
"""
