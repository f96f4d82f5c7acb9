from standalone.settings.load import load_settings
from standalone.summary import summary_of


def test_it_says_where_the_proxy_listens_and_that_it_is_open() -> None:
    settings = load_settings(["--open"], {"INVERTING_PROXY_LISTEN_USERS": "127.0.0.1:81,unix:///run/proxy.sock"})

    assert summary_of(settings).splitlines() == [
        "users and agents: 127.0.0.1:81",
        "users and agents: unix:///run/proxy.sock",
        "OPEN: no passwords, for users or agents",
    ]
