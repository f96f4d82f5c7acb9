"""What it costs: latency, throughput, calls. Run by `make bench`; the figures are kept in `benchmarks/README.md`.

    relay       counts the calls to Datastore on their way to the emulator
    latency     small requests through both shapes, beside the same requests to the backend itself

Medians over several rounds, and ratios against something measured in the same run: machines are noisy.
"""
