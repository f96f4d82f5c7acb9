"""What it costs: latency, throughput, calls, processor time, memory; the figures are kept in `benchmarks/README.md`.

`python -m benchmarks` measures the stand-alone proxy and the agent beside other ways to the same nginx:

    __main__         the command line, and what is measured: loads, a far agent, rest, waiting
    systems          what is measured beside one another; nginx, ssh: how those are started
    loads            what wrk asks for (wrk.lua), and what it says of the answers
    rounds           interleaved rounds and their medians
    usage            processor time and memory of processes, from /proc
    link             a slow link: a relay that delays
    idle             systems at rest, and thousands of long polls
    report           the results, and how they are kept: tables in Markdown, plot in SVG
    programs         what a machine lacks

Each of the others has a command line of its own:

    appengine        the App Engine services over the Datastore emulator: polling alone, and with hints in a memcached
                     services: how they are started; calls: what they ask of Datastore; services_tables
    instances        what an instance on App Engine takes: its imports, its memory under load, a large sweep
    agent            the agent's processor time beside a bare loop of requests, and its start
    websockets       native websockets that wait: memory, processor time, and whether all are alive
    streaming        long bodies both ways: how fast, processor time for a gibibyte, memory; beside nginx
    slow_clients     a thousand clients that are as slow as they can, and what others notice
    soak             does an agent that works for long grow? soak_traffic: what users do; websocket_echo: a backend

Two are computed, and not measured:

    cost             a month on App Engine, from calls and prices: docs/cost.md
    simulation       more backends and requests than a machine has room for: docs/scaling.md
    measured         what is known of calls to Datastore, read back from the README
    pages            pages of which a program writes a part

Medians over several rounds, and ratios against something measured in the same run: machines are noisy.
"""
