"""HTTP to one origin, byte for byte, for both legs of the agent.

client             calls and replies over HTTP/1.1; the only place that reads and writes its messages
connections        the sockets under it (TCP, TLS, unix), pooled by requests' adapter; tls: the rules of TLS
http2_client       the same calls over HTTP/2, on connections that all threads share
http2_connection   such a connection: h2, a thread that reads, a thread that writes; http2_stream: one call on it
http2_fields       heads and trailers between HTTP/1.1 and HTTP/2
upload             a body on its way, over either
errors             what may happen to a call, told apart by what the caller may conclude
"""
