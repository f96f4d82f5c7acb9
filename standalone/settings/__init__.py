"""The settings of the stand-alone proxy: what may be set, and where it is read from.

    load        where settings come from, and which of them wins; the whole of them
    flags       the command line
    sources     the file of `--config`, and the environment
    keys        one setting: its name, default, what it must be; makers for the common kinds
    table       what the tables have in common
    places      where a setting stands, which errors begin with
    addresses   where to listen, as it is written in settings
    secrets     files with secrets, read when settings are
    certificates
                files with certificates, likewise
    urls        keys about OpenID providers
    listen, tls, agents, administrators, users, timeouts, limits, storage, log
                one table of the file each: a frozen record with the keys' names as fields, and the keys themselves

    backends    a list of tables, [[backends]]: registrations

Only this package knows the command line, the environment and the file; everything else is given plain values by
`standalone/composition.py`.

To add a table `[cheese]`:

1. A module `standalone/settings/cheese.py`: a frozen dataclass that inherits `Table`, with the name of the table as
   `NAME`, its keys as `KEYS`, and a field for each key, under its name with `_` for `-` and of the type that its
   `parse` gives. What cannot be said of one key alone is said in `check`. `log` is a short example.
2. In `load`: a field of `Settings`, the class in `TABLES`, a line in `load_settings`. What two tables must agree on
   goes into `Settings.check`.
3. In docs/standalone.md a heading `### [cheese]` and below it a row like `| |`: `python -m standalone.settings.rows`
   puts the real ones there, and `tests/packaging/test_settings.py` compares.
4. In `standalone/summary.py` what `--check-config` shall say of it.

Its keys are then read from the file, and as `INVERTING_PROXY_CHEESE_…` from the environment. A list of tables
(`[[cheese]]`, in the file alone) is the same with the class in `LISTS`, and a tuple of records in `Settings`. Secrets
are best kept in a file that a key names, else the key `is_secret`. Files are opened by the composition; but
those with secrets are read in `check`, too, so that a line of them that cannot be used is told like any setting.
"""
