"""What the agent knows of HTML: enough to put one script into a page, and to put a page into a frame.

No page is parsed, and none is held whole.

    pages       which requests ask for a page, which answers are one
    tags        the syntax of a start tag: where it ends, its attributes
    scan        where in a page its head begins, found while the page flows
    insertion   a body with a script in it
    codings     bodies in gzip and deflate, decoded while they flow
    policies    Content-Security-Policy and X-Frame-Options: read, and changed as little as possible
    validators  entity tags of pages that the agent has changed
"""
