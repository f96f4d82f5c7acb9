"""What the variables of other tools say."""

from pathlib import Path

import pytest

from agent.commandline.flags import FlagError
from agent.settings.google import google_environment


def test_without_any_variable_the_usual_places_count() -> None:
    found = google_environment({"HOME": "/home/user", "UNRELATED": "x"})
    machine = found.machine
    assert (machine.gcloud_folder, machine.well_known_file.parent) == (Path("/home/user/.config/gcloud"),) * 2
    assert (machine.credentials_file, machine.gcloud_properties) == (None, {})
    assert (machine.metadata_host, machine.has_metadata_server) == ("169.254.169.254", False)
    assert machine.may_have_metadata_server
    assert (found.outbound.choose("https://proxy.example.com"), found.ca_file) == (None, None)


def test_each_variable_counts() -> None:
    found = google_environment(
        {
            "CLOUDSDK_CONFIG": "/config",
            "CLOUDSDK_ACTIVE_CONFIG_NAME": "work",
            "CLOUDSDK_CORE_ACCOUNT": "a@example.com",
            "GOOGLE_APPLICATION_CREDENTIALS": "/key.json",
            "GCE_METADATA_HOST": "metadata:8080",
            "NO_GCE_CHECK": "true",
            "HTTPS_PROXY": "http://out:3128",
            "REQUESTS_CA_BUNDLE": "/ca.pem",
        }
    )
    machine = found.machine
    assert (machine.gcloud_folder, machine.gcloud_configuration) == (Path("/config"), "work")
    assert machine.gcloud_properties["CLOUDSDK_CORE_ACCOUNT"] == "a@example.com"
    assert machine.credentials_file == Path("/key.json")
    assert (machine.metadata_host, machine.has_metadata_server) == ("metadata:8080", True)
    assert not machine.may_have_metadata_server
    assert (found.outbound.choose("https://proxy.example.com"), found.ca_file) == ("http://out:3128", "/ca.pem")


def test_an_outbound_proxy_that_cannot_be_used_is_an_error_of_one_line() -> None:
    with pytest.raises(FlagError, match="HTTPS_PROXY"):
        google_environment({"HTTPS_PROXY": "socks5://out"})
