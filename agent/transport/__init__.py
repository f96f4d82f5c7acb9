"""HTTP to one origin, byte for byte, for both legs of the agent.

client             calls and replies over HTTP/1.1; the only place that reads and writes its messages
connection         one socket under it, in clear text or over TLS
connections        how they are made (TCP, TLS, unix; by requests' adapter) and kept for the next call; tls: the rules
http2_client       the same calls over HTTP/2, on connections that all threads share
http2_connection   such a connection: a thread that reads, a thread that writes; http2_stream: one call on it
http2_protocol     its state, which h2 keeps
http2_fields       heads and trailers between HTTP/1.1 and HTTP/2
upload             a body on its way, over either
errors             what may happen to a call, told apart by what the caller may conclude
"""
