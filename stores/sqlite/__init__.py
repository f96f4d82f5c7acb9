"""What outlives a restart of the process, in one file.

registrations   the backends
sign_outs       who has signed out
schema          the tables, from version to version
"""
