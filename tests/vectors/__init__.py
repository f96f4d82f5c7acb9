"""HTTP/1.1 messages as bytes, and what they say: pairs of NAME.http and NAME.json.

    request/    method, target, headers, length, body, trailers
    response/   the same with `request_method` (of the request that it answers) and status
    bad/        `of` ("request" or "response"), the error's class, its status_hint, and its text when fed whole

Text in JSON stands for latin-1 octets. `about` says in each what it is about.
"""
