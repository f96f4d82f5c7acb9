import pytest

from benchmarks.measured import BEGIN, HINTS, POLLING, Measured, idle_minute, request
from benchmarks.pages import END, Page

PAGE = Page(
    f"""{BEGIN}

### Calls to Datastore for each request

|  | clients |  | calls | by method | read | written | deleted | run |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| small GET | 16 | polling alone | 9.2 | Commit 3.1 | exchange 8.5 | exchange 3.0 | – | today |
| small GET | 1 | polling alone | 8.8 | Commit 3.1, Lookup 5.7 | backend 0.5, exchange 5.2 | exchange 3.0 | – | today |

### An idle minute

|  | calls | by method | read | written | deleted | run |
| --- | --- | --- | --- | --- | --- | --- |
| polling alone | 56 | Commit 2.0 | backend 4.0, exchange 50.0 | backendStatus 2.0 | – | today |

{END}""",
    BEGIN,
)


def test_a_request_is_that_of_one_client_with_the_entities_of_all_kinds() -> None:
    found = request(POLLING, "small GET", page=PAGE)
    assert found == Measured(calls=8.8, read=5.7, written=3.0, deleted=0, run="today")


def test_an_idle_minute_has_a_table_of_its_own() -> None:
    assert idle_minute(POLLING, page=PAGE) == Measured(calls=56, read=54, written=2, deleted=0, run="today")


def test_what_was_not_measured_is_missed_by_its_name() -> None:
    with pytest.raises(KeyError, match=f"each request: small GET, 1, {HINTS}"):
        request(HINTS, "small GET", page=PAGE)


@pytest.mark.parametrize("system", [POLLING, HINTS])
def test_the_readme_has_all_that_other_pages_are_computed_from(system: str) -> None:
    assert request(system, "small GET").calls < request(system, "5 MB GET").calls
    assert idle_minute(system).calls > 0
