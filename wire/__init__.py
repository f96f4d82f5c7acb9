"""The wire protocol between proxy and agent: one copy, imported by both sides.

    protocol     the header names, the paths, the small encodings, and every size limit
    headers      ordered header fields, and the ones that must not travel on
    remembering  answers about names, remembered
    http1        HTTP/1.1 messages as bytes, parsed and serialized, incremental
    upgrades     changing the protocol of a connection: who wants it, and the 101 that grants it
    bodies       what is behind a head: of a known length, chunked, or until the connection ends
    strictness   the grammar of heads: what a proxy must not forgive
    batches      several messages in one body: version 2
    negotiation  who speaks version 2, and what is said beside a batch
    errors       what can be wrong with bytes that came in

Pure: no I/O, no clock, no policy; imports the standard library alone.
"""
