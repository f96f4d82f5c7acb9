"""The agent against real peers on loopback, well-behaved and not."""
