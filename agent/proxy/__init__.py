"""The proxy, as the agent calls it.

conversation    all below, in the newest version of the protocol that both sides speak
polls           what waits, by either version; lost_polls: what the proxy is told of those that broke off
client          the calls for one exchange: fetch and respond
outbox          small answers on their way: who posts what waits; posts: several in one call
calls           what all calls have in common; round_trip: how many at a time
inner_request   the request inside the answer to a fetch or a poll
replay          an answer as the body of a post that can be sent again
outbound        the HTTP proxy on the way out, where the environment names one
errors          what the proxy may say, told apart by what the agent does about it
"""
