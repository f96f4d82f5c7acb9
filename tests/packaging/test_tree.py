"""The tests mirror the tree: each source module has its test module, and each of those its source module."""

from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

PACKAGES: Final = [
    "wire",
    "broker",
    "stores",
    "edge",
    "proxy_service",
    "agent_service",
    "api_service",
    "standalone",
    "agent",
]

# Composition roots only put parts together; the system tests run them as processes.
COMPOSITION_ROOTS: Final = {"__init__", "__main__", "main"}

# Modules without a test module of their own, and where they are tested. This only gets shorter.
TESTED_THROUGH: Final = {
    "tests/contract/store_contract.py": ["broker/store"],
    "tests/unit/stores/datastore/test_store.py": ["stores/datastore/conditional"],
    "tests/unit/edge/test_oidc.py": ["edge/certificates"],
    "tests/services": ["agent_service/app", "api_service/app", "proxy_service/app"],
    "tests/services/test_main.py": ["agent_service/settings", "api_service/settings", "proxy_service/settings"],
    "tests/agent/test_agent.py": ["agent/composition"],
    "tests/unit/agent/settings/test_load.py": [
        *[f"agent/settings/{group}" for group in ("backend", "banner", "file", "group", "health", "monitoring")],
        *[f"agent/settings/{group}" for group in ("proxy", "running", "sessions", "websockets")],
    ],
    "tests/unit/standalone/settings/test_load.py": [
        *[f"standalone/settings/{table}" for table in ("limits", "listen", "log", "storage", "timeouts", "tls")],
    ],
    "tests/standalone/test_arrivals.py": ["standalone/connections/arrivals"],
    "tests/agent/test_google_identity.py": [
        *[f"agent/identity/{part}" for part in ("accounts", "errors", "google", "google_calls", "machine")],
        *[f"agent/identity/{part}" for part in ("metadata", "opening", "search", "vm")],
    ],
    "tests/agent/test_backend_client.py": [
        *["agent/backend_client", "agent/failures", "agent/messages"],
        *["agent/proxy/inner_request", "agent/transport/client", "agent/transport/errors"],
        "agent/transport/upload",
    ],
    "tests/agent/test_http2.py": [
        *[f"agent/transport/http2_{part}" for part in ("client", "connection", "stream")],
    ],
    "tests/agent/test_tls.py": ["agent/transport/tls"],
    "tests/agent/test_tunnels.py": ["agent/transport/upgrading", "agent/tunnels/assembly"],
    "tests/agent/test_shim.py": ["agent/shim/assembly", "agent/shim/handshake"],
    "tests/agent/test_status.py": ["agent/telemetry/status_server"],
    "tests/agent/test_monitoring.py": ["agent/telemetry/assembly"],
    "tests/agent/test_proxy_client.py": ["agent/transport/connections", "agent/proxy/calls", "agent/proxy/client"],
    "tests/agent/test_together.py": ["agent/together"],
    "tests/agent/test_polls.py": ["agent/proxy/polls", "agent/proxy/request_batches"],
    "tests/agent/test_fetches.py": ["agent/proxy/fetches"],
    "tests/agent/test_workers.py": [
        *[f"agent/workers/{part}" for part in ("helper", "helpers", "messages", "team")],
    ],
    "tests/agent/test_program.py": ["agent/process/draining"],
    "tests/agent/test_conversation.py": ["agent/proxy/conversation", "agent/proxy/posts"],
}


def find_sources(package: str) -> set[str]:
    folder = ROOT / package
    return {
        path.relative_to(folder).with_suffix("").as_posix()
        for path in folder.rglob("*.py")
        if path.stem not in COMPOSITION_ROOTS
    }


def find_tests(package: str) -> set[str]:
    folder = ROOT / "tests" / "unit" / package
    return {
        (path.parent / path.stem.removeprefix("test_")).relative_to(folder).as_posix()
        for path in folder.rglob("test_*.py")
    }


def listed(package: str) -> set[str]:
    names = [name.partition("/") for group in TESTED_THROUGH.values() for name in group]
    return {module for owner, _, module in names if owner == package}


@pytest.mark.parametrize("package", PACKAGES)
def test_each_source_module_has_its_test_module(package: str) -> None:
    assert sorted(find_sources(package) - find_tests(package) - listed(package)) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_each_test_module_is_named_after_its_source_module(package: str) -> None:
    """`test_http1.py` is of `http1`, and so is `test_http1_vectors.py`."""
    sources = tuple(find_sources(package))
    orphans = [
        test for test in find_tests(package) if not any(test == name or test.startswith(f"{name}_") for name in sources)
    ]

    assert sorted(orphans) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_listed_as_tested_elsewhere_exists_and_has_no_test_module_of_its_own(package: str) -> None:
    assert sorted(listed(package) - find_sources(package)) == []
    assert sorted(listed(package) & find_tests(package)) == []


@pytest.mark.parametrize("place", TESTED_THROUGH)
def test_the_place_where_a_module_is_tested_exists(place: str) -> None:
    assert (ROOT / place).exists()
