"""How texts become settings, as Go's `flag` package reads them, so that the original's command lines work.

flags       `--flag value`, `--flag=value`, and the environment
durations   `10ms`, `1m30s`
"""
