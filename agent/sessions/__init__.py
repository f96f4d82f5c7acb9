"""Sessions: the backend's cookies stay in the agent, and the browser gets one cookie, whose value says nothing.

    handler     puts sessions around a handler: what leaves and enters a request and its answer
    store       the sessions, each of one end user; bounded, and the only state
    jar         the cookies of one session, and which of them a request gets
    set_cookie  one `Set-Cookie` field, read as browsers read it; dates: its dates
    domains     hosts and paths, and what matches them
    fields      the fields `Cookie` and `Cache-Control`

Everything but `store` is pure, and nothing reads a clock. The rules are those of RFC 6265bis (draft-ietf-httpbis-
rfc6265bis-20), section 5, and not of `http.cookiejar`, whose defaults are Netscape's and RFC 2965's: it reads quoted
values, spaces and dates otherwise than browsers do, knows no public suffixes, no prefixes and no SameSite, and takes a
whole urllib request for each question.
"""
