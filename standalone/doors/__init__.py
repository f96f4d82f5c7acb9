"""The doors: whom a request comes from, and what it does behind each.

dispatch       which door a request goes to
entrances      from settings to the doors of each address
users          an exchange for each request
request_body   the body of a user's request as it stands in the message that its agent gets
agents         the calls of the protocol
administrators the admin API
redirect       the application of an address that only sends clients to https
"""
