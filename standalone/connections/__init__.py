"""Connections of clients and agents, from the socket to a checked request and back.

listeners      sockets that accept connections
lifecycle      listening, and stopping without losing what is under way
tls            the proxy's certificate
arrivals       accepting what does not speak HTTP yet: TLS, and proxies in front that say first whose it is
proxy_protocol what they say
server         what is accepted as a request: the protocol class under uvicorn
cutting        where requests end in what comes
heads          from what has been read of a request to its head, as it was sent
responding     one request and its answer, and how one that breaks off is made to look broken
outflow        what is written, and an end for a client that takes it too slowly
splice         two connections made one
limits         what they may take, and how many there may be
crowd          how many there are from each address
"""
