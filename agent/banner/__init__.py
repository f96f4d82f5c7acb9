"""A banner of the operator above every page: the page is shown in a frame of the same origin below it.

handler     which requests get the frame, and what changes for the page in it
frame       the frame as HTML: `frame.html`, filled in
templates   the HTML files beside this one
departure   a page that leads out of the frame, for redirects to other sites
"""
