"""Who the agent is to the proxy.

credentials   the port, and the ways that need no library: nobody, and a token in a file
google        the Google account of this machine; imports google.auth, and so is imported only when it is used
gcloud        which account gcloud has active
vm            which Compute Engine VM this is
"""
