"""What it costs: latency, throughput, calls, processor time, memory; the figures are kept in `benchmarks/README.md`.

    relay       counts the calls to Datastore on their way to the emulator
    agent       the agent's processor time for a request, and its start
    soak        does an agent that works for long grow? soak_traffic: what users do to it; websocket_echo: a backend
    latency     small requests through both shapes, beside the same requests to the backend itself

Medians over several rounds, and ratios against something measured in the same run: machines are noisy.
"""
