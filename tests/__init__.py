"""The tests. A package, so that `tests.fakes` means ours whatever else is installed; test modules need no package."""
