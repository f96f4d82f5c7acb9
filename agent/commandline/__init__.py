"""How texts become settings, as Go's `flag` package reads them, so that the original's command lines work.

flags       `--flag value`, `--flag=value`, and the environment
parsing     the values of flags, and makers for the common kinds of flag
durations   `10ms`, `1m30s`
"""
