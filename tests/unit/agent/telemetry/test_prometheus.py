"""The text of /metrics, read back by the library's own parser."""

import os

from prometheus_client.parser import text_string_to_metric_families

from agent.telemetry.observer import FinishedExchange
from agent.telemetry.prometheus import Exposition
from agent.telemetry.record import BackendRecord

Labels = tuple[tuple[str, str], ...]


def samples(*records: BackendRecord) -> dict[tuple[str, Labels], float]:
    text = Exposition(lambda: [each.snapshot() for each in records], version="1.2.3").render().decode()
    return {
        (sample.name.removeprefix("inverting_proxy_agent_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def a_record(backend_id: str = "notebook") -> BackendRecord:
    return BackendRecord(backend_id, now=lambda: 0.0)


B: Labels = (("backend", "notebook"),)


def test_exchanges_have_backend_code_and_reason() -> None:
    record = a_record()
    for status, reason in ((200, ""), (200, ""), (502, "backend-broke")):
        record.exchange_ended(FinishedExchange("id", "GET", "/", status, 10, 0.02, reason))
    found = samples(record)
    assert found["exchanges_total", (*B, ("code", "200"), ("reason", ""))] == 2
    assert found["exchanges_total", (*B, ("code", "502"), ("reason", "backend-broke"))] == 1
    assert found["response_bytes_total", B] == 30


def test_latencies_are_a_histogram() -> None:
    record = a_record()
    for seconds in (0.02, 0.02, 120.0):
        record.exchange_ended(FinishedExchange("id", "GET", "/", 200, 0, seconds, ""))
    found = samples(record)
    name = "exchange_duration_seconds"
    buckets = [found[f"{name}_bucket", (*B, ("le", bound))] for bound in ("0.01", "0.025", "60.0", "+Inf")]
    assert (buckets, found[f"{name}_count", B], found[f"{name}_sum", B]) == ([0, 2, 2, 3], 3, 120.04)


def test_the_rest_is_there() -> None:
    record = a_record()
    record.exchange_began()
    record.poll_began()
    record.poll_answered()
    record.poll_failed("x")
    record.call_retried()
    record.fetch_failed()
    record.shim_session_opened()
    record.health_changed("x")
    found = samples(record)
    assert found["build_info", (("version", "1.2.3"),)] == 1
    assert found["polls_total", (*B, ("outcome", "answered"))] == 1
    assert found["polls_total", (*B, ("outcome", "failed"))] == 1
    ones = ("exchanges_in_flight", "proxy_retries_total", "fetch_failures_total", "shim_sessions_total")
    assert [found[name, B] for name in (*ones, "shim_sessions_open")] == [1] * 5
    assert [found[name, B] for name in ("connected", "backend_healthy", "ready", "poll_answer_age_seconds")] == [0] * 4
    assert found["process_open_fds", ()] > 0


def test_each_backend_has_its_own() -> None:
    first, second = a_record("a"), a_record('b"\n')
    second.call_retried()
    found = samples(first, second)
    assert [found["proxy_retries_total", (("backend", each),)] for each in ("a", 'b"\n')] == [0, 1]


def test_what_processes_use_is_added_up() -> None:
    def value(name: str, processes: list[int]) -> float:
        text = Exposition(lambda: [], version="1.2.3", processes=lambda: processes).render().decode()
        [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(line.partition(" ")[2])

    own = os.getpid()
    assert value("process_open_fds", [own, own]) == 2 * value("process_open_fds", [own])
    assert value("process_start_time_seconds", [own, own]) == value("process_start_time_seconds", [own])
    assert value("process_max_fds", [own, own]) == value("process_max_fds", [own])
