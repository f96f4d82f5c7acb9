"""The demo backend: a page that shows what arrived, with an upload, a slow answer, an error and a stream to try.

    __main__    the flags, and the line that says where it listens
    server      the handler of requests, on the standard library's threaded server
    page        what arrived, as HTML or JSON; `page.html` beside it is the template

An ordinary web server that knows nothing of the proxy. Standard library only; imports nothing of ours.
"""
