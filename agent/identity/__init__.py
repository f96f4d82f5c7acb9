"""Who the agent is to the proxy.

opening         from what `--credentials` and its companions say to `Credentials`, tried once
credentials     the port, and the ways that need no library: nobody, and a token in a file
tokens          tokens that run out: renewed in the background; what a JSON Web Token says of its life
search          which Google account this machine offers; machine: where it keeps one; accounts: what each can give
gcloud          the active account of the Google Cloud CLI
google          accounts in files, by google.auth, which is imported only when it is needed; google_calls: its transport
impersonation   a service account that another account may be
metadata        the metadata server of a Google machine; vm: which Compute Engine VM this is
errors          why the agent cannot say who it is
"""
