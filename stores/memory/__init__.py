"""Exchanges and registrations in the memory of one process.

store            the `broker.store.Store`, under one lock, with the waiter that it wakes
queues           what it knows of the exchanges of a backend
window           the bytes of one message
known_backends   the registrations, for many readers
"""
