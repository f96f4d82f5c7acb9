"""The image's health check asks where the agent listens, and an agent without a status port counts as healthy."""

import pytest

from agent.healthcheck import main, reachable


@pytest.mark.parametrize("environment", [{}, {"STATUS_PORT": ""}])
def test_without_a_status_port_there_is_nothing_to_ask(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(environment) == 0
    assert capsys.readouterr().out == "no status port, nothing to ask\n"


def test_an_agent_that_listens_everywhere_is_asked_on_loopback() -> None:
    assert reachable(("0.0.0.0", 9090)) == ("127.0.0.1", 9090)
    assert reachable(("::", 9090)) == ("::1", 9090)


def test_an_agent_that_listens_at_one_address_is_asked_there() -> None:
    assert reachable(("10.0.0.7", 9090)) == ("10.0.0.7", 9090)
