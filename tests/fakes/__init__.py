"""Stand-ins for the ports of the core, each with its own test.

cache    UnreliableCache: loses, delays, evicts and fails at random
clock    FakeClock: time that only moves when told
event_loop  VirtualTimeLoop: asyncio in time that takes none
waiter   ScriptedWaiter: waits in simulated time, with events that happen meanwhile; PollingWaiter: always looks again
"""
