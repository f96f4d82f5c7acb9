"""The store in Datastore with what waits over it, for one process of the services.

assembly             puts them together
telling              tells waiters of every change
waiter               looks for all that wait in a process at once
queue_looks          when a poll need not look
hints                marks in a cache, which say that it is worth looking
  memcached            such a cache
  appengine_memcache   another
"""
