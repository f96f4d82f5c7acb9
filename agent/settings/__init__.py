"""The agent's settings: its flags, what each takes, the environment and the file of `--config`.

load        where settings come from, and which of them wins; the whole of them
proxy, backend, websockets, sessions, banner, health, running, monitoring
            one group of flags each: a frozen record with the flags' names as fields, and the flags themselves
google      where this machine keeps its Google identity: not ours to name, so there are no flags for it

Only this package reads the command line, the environment and the file. The names are those of google/inverting-proxy,
`agent/agent.go`, so that its command lines work unchanged.
"""
