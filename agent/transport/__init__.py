"""HTTP/1.1 to one origin, byte for byte, for both legs of the agent.

client        calls and replies; the only place that reads and writes messages
connections   the sockets under it, pooled by requests' adapter
errors        what may happen to a call, told apart by what the caller may conclude
"""
