"""Exchanges and registrations in Google Cloud Datastore, shared by all processes of the services.

store              the `broker.store.Store`
registrations      its half about backends
  lately             what a process remembers of them
  notes              when it is time to note that one was polled or used
exchange_records   how an exchange lies there
  exchange_streams   where the bytes of one message lie
  exchange_parts     how these get there and back, a few calls at a time
  recent_records     what a process remembers of exchanges
exchange_changes   how a rule is applied to one
exchange_removal   how they leave in numbers: the sweep
exchange_marks     where many of them stand, in one call
named              what was named to agents and is not fetched yet
carried            whole answers on their way through a cache
conditional        the calls: versions, conditional writes
  group_commit       several of these in one
  calls              what all have in common: ends, errors, repetitions
"""
