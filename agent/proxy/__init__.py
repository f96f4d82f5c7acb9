"""The proxy, as the agent calls it.

client          the three calls of the protocol, retried
inner_request   the request inside the answer to a fetch
replay          an answer as the body of a post that can be sent again
outbound        the HTTP proxy on the way out, where the environment names one
errors          what the proxy may say, told apart by what the agent does about it
"""
