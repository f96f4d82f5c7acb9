"""The wire protocol between proxy and agent: one copy, imported by both sides.

    protocol    the header names, the paths, the small encodings, and every size limit
    headers     ordered header fields, and the ones that must not travel on
    http1       HTTP/1.1 messages as bytes, parsed and serialized, incremental
    strictness  the grammar of heads: what h11 forgives and a proxy must not
    errors      what can be wrong with bytes that came in

Pure: no I/O, no clock, no policy. May import h11 and nothing else.
"""
