from pathlib import Path

import pytest
import yaml

from benchmarks.simulation.inputs import MAX_CHANGES, MAX_INSTANCES, THREADS
from stores.datastore import group_commit

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("name", ["app.yaml", "agent_service.yaml"])
def test_threads_and_instances_are_those_of_the_deployment(name: str) -> None:
    service = yaml.safe_load((ROOT / name).read_text("utf-8"))
    scaling = service["automatic_scaling"]
    assert f"--threads={THREADS} " in service["entrypoint"]
    assert (scaling["max_concurrent_requests"], scaling["max_instances"]) == (THREADS, MAX_INSTANCES)


def test_an_instance_has_one_commit_of_a_sort_under_way_with_as_many_changes_as_the_store() -> None:
    assert (group_commit.AT_ONCE, group_commit.MAX_CHANGES) == (1, MAX_CHANGES)
