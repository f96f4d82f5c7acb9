"""With a stand-in `gcloud` on the PATH: what is asked, in which order, and what is said when something is missing."""

import json
import re
import sys
from pathlib import Path

import pytest

from scripts.deploy import main, next_steps
from scripts.preflight import runtime
from stores.datastore.exchange_records import EXCHANGE, LOST_POLL, PART_KINDS
from tests.fakes.gcloud import FakeGcloud

PROJECT = "--project=my-project"
HOST = "my-project.ew.r.appspot.com"
DEPLOYMENTS = [
    f"app deploy app.yaml {PROJECT} --quiet",
    f"app deploy agent_service.yaml api_service.yaml {PROJECT} --quiet",
    f"app deploy dispatch.yaml cron.yaml index.yaml {PROJECT} --quiet",
]
POLICIES = [
    f"firestore fields ttls update expires --collection-group={kind} --enable-ttl --async {PROJECT} --quiet"
    for kind in (EXCHANGE, *PART_KINDS, LOST_POLL)
]
HEALTHY = {
    "auth list": "ada@example.com",
    "projects describe": "ACTIVE",
    "services list": "appengine.googleapis.com\ncloudbuild.googleapis.com\nfirestore.googleapis.com\n",
    "app describe --format=value(servingStatus)": "SERVING",
    "app describe --format=value(defaultHostname)": HOST,
    "firestore databases describe": "DATASTORE_MODE",
    "app runtimes list": "python39\npython312\npython313\nnodejs22",
}


@pytest.fixture
def gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGcloud:
    """A project where everything is in order, and nothing else on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    fake = FakeGcloud(tmp_path)
    fake.install(HEALTHY)
    return fake


def deploy(*more: str) -> int:
    return main(["--project=my-project", *more])


def test_without_a_project_there_is_one_line_and_nothing_is_called(
    gcloud: FakeGcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--project="]) == 1
    assert capsys.readouterr() == ("", "PROJECT_ID is missing. Type: make deploy PROJECT_ID=your-project\n")
    assert gcloud.calls == []


def test_the_default_service_comes_first_and_the_rules_for_all_services_last(gcloud: FakeGcloud) -> None:
    assert deploy() == 0
    assert [call for call in gcloud.calls if call.startswith("app deploy")] == DEPLOYMENTS


def test_datastore_is_told_to_remove_what_the_sweep_has_left(gcloud: FakeGcloud) -> None:
    deploy()
    assert [call for call in gcloud.calls if call.startswith("firestore fields")] == POLICIES
    assert gcloud.calls.index(POLICIES[0]) > gcloud.calls.index(DEPLOYMENTS[-1])


def test_a_database_that_takes_no_such_policy_is_no_obstacle(
    gcloud: FakeGcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    gcloud.fail("firestore fields", "ERROR: Optimistic With Entity Groups")
    assert deploy() == 0
    said = capsys.readouterr()
    assert "The proxy works without it" in said.err
    assert next_steps(HOST, "ada@example.com") in said.out


def test_everything_is_checked_before_anything_is_deployed(gcloud: FakeGcloud) -> None:
    deploy()
    first = gcloud.calls.index(DEPLOYMENTS[0])
    assert [any(call.startswith(check) for call in gcloud.calls[:first]) for check in HEALTHY] == [
        check != "app describe --format=value(defaultHostname)" for check in HEALTHY
    ]


def test_every_call_names_the_project_and_asks_no_question(gcloud: FakeGcloud) -> None:
    deploy()
    assert [call for call in gcloud.calls if not call.endswith(f" {PROJECT} --quiet")] == []


def test_at_the_end_stand_the_real_host_names_and_the_next_commands(
    gcloud: FakeGcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy()
    said = capsys.readouterr().out
    assert said.endswith(next_steps(HOST, "ada@example.com") + "\n")
    assert set(re.findall(r"https://[^\s/]+", said)) == {
        f"https://{HOST}",
        f"https://agent-dot-{HOST}",
        f"https://api-dot-{HOST}",
    }


def test_the_record_of_the_curl_line_is_one_that_the_api_takes() -> None:
    (record,) = re.findall(r"-d '(.*)'", next_steps(HOST, "ada@example.com"))
    assert json.loads(record) == {
        "id": "my-backend",
        "endUser": "ada@example.com",
        "backendUser": "ada@example.com",
        "pathPrefixes": ["/"],
    }


def test_a_dry_run_prints_the_commands_and_calls_nothing(
    gcloud: FakeGcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("--dry-run") == 0
    assert gcloud.calls == []
    said = capsys.readouterr().out.splitlines()
    commands = [*DEPLOYMENTS, *POLICIES]
    assert said[: len(commands)] == [f"$ gcloud {command}" for command in commands]


@pytest.mark.parametrize(
    ("command", "answer", "problem", "remedy"),
    [
        ("auth list", "", "gcloud is not logged in", "gcloud auth login"),
        (
            "projects describe",
            "DELETE_REQUESTED",
            "The project my-project is DELETE_REQUESTED",
            "gcloud projects undelete my-project",
        ),
        (
            "services list",
            "appengine.googleapis.com",
            "The project lacks cloudbuild.googleapis.com, firestore.googleapis.com",
            f"gcloud services enable cloudbuild.googleapis.com firestore.googleapis.com {PROJECT}",
        ),
        (
            "app describe",
            "USER_DISABLED",
            "The App Engine application is USER_DISABLED",
            "appengine/settings?project=my",
        ),
        (
            "firestore databases describe",
            "FIRESTORE_NATIVE",
            "The default database is in FIRESTORE_NATIVE and must be in DATASTORE_MODE",
            f"gcloud firestore databases create {PROJECT} --type=datastore-mode",
        ),
        (
            "app runtimes list",
            "python39\npython315\npython314",
            f"App Engine does not take the runtime {runtime()} any more",
            "to one of: python314, python315, python39",
        ),
    ],
)
def test_an_answer_that_forbids_the_deployment_comes_with_what_to_do(
    gcloud: FakeGcloud, capsys: pytest.CaptureFixture[str], command: str, answer: str, problem: str, remedy: str
) -> None:
    gcloud.answer(next(known for known in HEALTHY if known.startswith(command)), answer)
    assert deploy() == 1
    said = capsys.readouterr().err
    assert problem in said
    assert remedy in said
    assert not any(call.startswith("app deploy") for call in gcloud.calls)


@pytest.mark.parametrize(
    ("command", "problem", "remedy"),
    [
        ("projects describe", "my-project cannot be reached as ada@example.com: ERROR: no", "gcloud projects list"),
        (
            "app describe",
            "The project has no App Engine application: ERROR: no",
            f"gcloud app create {PROJECT} --region=",
        ),
        (
            "firestore databases describe",
            "The project has no default database: ERROR: no",
            f"gcloud firestore databases create {PROJECT} --type=datastore-mode",
        ),
    ],
)
def test_a_command_that_gcloud_refuses_comes_with_its_reason_and_what_to_do(
    gcloud: FakeGcloud, capsys: pytest.CaptureFixture[str], command: str, problem: str, remedy: str
) -> None:
    gcloud.fail(next(known for known in HEALTHY if known.startswith(command)), "some text\nERROR: no")
    assert deploy() == 1
    said = capsys.readouterr().err
    assert problem in said
    assert remedy in said
    assert not any(call.startswith("app deploy") for call in gcloud.calls)


@pytest.mark.parametrize("command", ["auth list", "services list", "app runtimes list"])
def test_any_other_refusal_ends_the_deployment_with_the_reason(
    gcloud: FakeGcloud, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    gcloud.fail(command, "ERROR: the network is down")
    assert deploy() == 1
    assert capsys.readouterr().err == "ERROR: the network is down\n"


def test_a_deployment_that_fails_stops_before_the_next_one(
    gcloud: FakeGcloud, capsys: pytest.CaptureFixture[str]
) -> None:
    gcloud.fail("app deploy agent_service.yaml", "ERROR: build failed")
    assert deploy() == 1
    assert [call for call in gcloud.calls if call.startswith("app deploy")] == DEPLOYMENTS[:2]
    assert f"gcloud ended with exit code 1: gcloud {DEPLOYMENTS[1]}" in capsys.readouterr().err


def test_without_gcloud_it_says_where_to_get_it(
    gcloud: FakeGcloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent / "nothing-here"))
    assert deploy() == 1
    assert "https://cloud.google.com/sdk/docs/install" in capsys.readouterr().err
