"""What the agent makes of its command line, its environment and its file, and which of them wins."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from agent.commandline.flags import FlagError
from agent.settings.load import FLAGS, AgentSettings, Settings, SettingsRequest, load_settings
from tests.agent.certificates import Authority

REQUIRED = ["--proxy=https://proxy.example.com/", "--backend=notebook"]

COMMON = 'proxy = "https://p.example.com"\n'
TWO = COMMON + '[[backends]]\nbackend = "a"\n[[backends]]\nbackend = "b"\n'


def load_all(*arguments: str, **environment: str) -> Settings:
    return load_settings([*REQUIRED, *arguments], environment)


def load(*arguments: str, **environment: str) -> AgentSettings:
    (agent,) = load_all(*arguments, **environment).agents
    return agent


def load_file(tmp_path: Path, text: str, *arguments: str, **environment: str) -> Settings:
    path = tmp_path / "agents.toml"
    path.write_text(text, "utf-8")
    return load_settings([f"--config={path}", *arguments], environment)


def test_the_defaults_are_those_of_the_original() -> None:
    settings = load_all(HOME="/home/somebody")
    (agent,) = settings.agents
    assert (agent.proxy.proxy, agent.proxy.backend, agent.backend.host) == (
        "https://proxy.example.com/",
        "notebook",
        "http://localhost:8080",
    )
    assert (agent.proxy.credentials, agent.backend.concurrency) == ("google", 256)
    assert (agent.backend.host_header, agent.backend.request_header, agent.backend.path_map) == ("keep", (), ())
    assert (agent.websockets.shim_path, agent.websockets.websocket_shim_timeout) == ("", timedelta(hours=1))
    assert (agent.sessions.session_cookie_name, agent.sessions.session_cookie_timeout) == ("", timedelta(hours=12))
    assert agent.sessions.session_cookie_cache_limit == 1000
    assert (agent.banner.inject_banner, agent.banner.banner_height) == ("", "40px")
    assert (agent.health.health_check_path, agent.health.health_check_interval_seconds) == ("/", 0)
    assert agent.health.health_check_unhealthy_threshold == 2
    assert settings.running.graceful_shutdown_timeout == timedelta(seconds=30)
    assert (settings.running.status_port, settings.running.log_format) == (None, "text")
    assert settings.monitoring.monitoring_endpoint == "monitoring.googleapis.com:443"
    assert settings.monitoring.monitoring_resource_type == "gce_instance"
    assert settings.google.machine.gcloud_folder == Path("/home/somebody/.config/gcloud")
    assert settings.google.machine.metadata_host == "169.254.169.254"


def test_every_boolean_is_off_by_default() -> None:
    assert {flag.default for flag in FLAGS if flag.is_boolean} == {"false"}


ORIGINAL = {
    "proxy", "backend", "host", "proxy-timeout", "request-forwarding-timeout", "force-http2", "debug",
    "disable-ssl-for-test", "favicon-url", "inject-banner", "banner-height", "shim-websockets", "shim-path",
    "websocket-shim-timeout", "enable-websockets-injection", "rewrite-websocket-host", "health-check-path",
    "health-check-interval-seconds", "health-check-unhealthy-threshold", "session-cookie-name",
    "session-cookie-timeout", "session-cookie-cache-limit", "forward-user-id", "strip-credentials",
    "disable-gce-vm-header", "monitoring-project-id", "monitoring-endpoint", "monitoring-resource-type",
    "monitoring-resource-labels", "metric-domain", "graceful-shutdown-timeout",
}  # fmt: skip


def test_every_flag_of_the_original_is_taken() -> None:
    assert {flag.name for flag in FLAGS} >= ORIGINAL


def test_the_environment_of_the_originals_image_is_enough() -> None:
    environment = {
        "PROXY": "https://p.example.com/", "BACKEND": "b", "HOSTNAME": "h", "PORT": "81", "PROXY_TIMEOUT": "50s",
        "REQUEST_FORWARDING_TIMEOUT": "1m", "DEBUG": "true", "FORWARD_USER_ID": "true", "FORCE_HTTP2": "false",
        "SHIM_WEBSOCKETS": "true", "SHIM_PATH": "shim", "REWRITE_WEBSOCKET_HOST": "true", "HEALTH_CHECK_PATH": "/ok",
        "HEALTH_CHECK_INTERVAL_SECONDS": "10", "HEALTH_CHECK_UNHEALTHY_THRESHOLD": "3",
        "SESSION_COOKIE_NAME": "session", "MONITORING_PROJECT_ID": "p", "METRIC_DOMAIN": "d.example.com",
        "MONITORING_RESOURCE_LABELS": "instance-id=i,instance-zone=z",
    }  # fmt: skip
    settings = load_settings([], environment)
    (agent,) = settings.agents
    assert (agent.proxy.proxy, agent.proxy.backend, agent.backend.host) == (
        "https://p.example.com/",
        "b",
        "http://h:81",
    )
    assert agent.proxy.poll_limit == timedelta(seconds=50)
    assert agent.backend.forwarding_limit(agent.proxy.proxy_timeout) == timedelta(minutes=1)
    assert (settings.running.debug, agent.backend.forward_user_id) == (True, True)
    assert (agent.websockets.shim_path, agent.websockets.shim_websockets) == ("shim", True)
    assert settings.monitoring.monitoring_resource_labels == (("instance-id", "i"), ("instance-zone", "z"))


def test_every_flag_has_a_name_and_an_environment_name_of_its_own() -> None:
    assert len({flag.name for flag in FLAGS}) == len(FLAGS)
    assert len({flag.environment_name for flag in FLAGS}) == len(FLAGS)


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ({"HOSTNAME": "pod-1"}, "http://localhost:8080"),
        ({"PORT": "81"}, "http://localhost:81"),
        ({"HOSTNAME": "h", "PORT": "81"}, "http://h:81"),
    ],
)
def test_a_hostname_without_a_port_says_nothing(environment: dict[str, str], host: str) -> None:
    assert load(**environment).backend.host == host


@pytest.mark.parametrize(
    ("poll", "forwarding", "limits"),
    [
        ("60s", "0s", (60, 60)),
        ("60s", "90s", (60, 90)),
        ("60s", "10s", (60, 60)),
        ("0", "10s", (None, None)),
    ],
)
def test_the_larger_time_out_counts_for_the_backend(
    poll: str, forwarding: str, limits: tuple[int | None, int | None]
) -> None:
    agent = load(f"--proxy-timeout={poll}", f"--request-forwarding-timeout={forwarding}")
    found = (agent.proxy.poll_limit, agent.backend.forwarding_limit(agent.proxy.proxy_timeout))
    assert tuple(limit and limit.total_seconds() for limit in found) == limits


@pytest.mark.parametrize("text", ["google", "none", "file:/a/b"])
def test_credentials_are_one_of_three_kinds(text: str) -> None:
    assert load("--credentials", text).proxy.credentials == text


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--proxy=", "http:// or https://"),
        ("--proxy=proxy.example.com", "http:// or https://"),
        ("--proxy=ftp://x", "http:// or https://"),
        ("--proxy=https://", "http:// or https://"),
        ("--proxy=https://user:password@x", "http:// or https://"),
        ("--proxy=https://x?q", "http:// or https://"),
        ("--proxy=https://x#f", "http:// or https://"),
        ("--proxy=https://x:0", "http:// or https://"),
        ("--proxy=https://x:99999", "http:// or https://"),
        ("--proxy=https://x/\u00e9", "http:// or https://"),
        ("--backend=", "a backend ID"),
        ("--backend=a b", "a backend ID"),
        ("--host=http://h/path", "HOST:PORT"),
        ("--host=unix://x", "HOST:PORT"),
        ("--path-map=api=h", "/PREFIX"),
        ("--path-map=/api", "/PREFIX"),
        ("--request-header=Name", "'Name: value'"),
        ("--request-header=Host: h", "'Name: value'"),
        ("--request-header=Connection: close", "'Name: value'"),
        ("--request-header=X-Inverting-Proxy-User-ID: me", "'Name: value'"),
        ("--request-header=A: \u00e9", "'Name: value'"),
        ("--host-header=a b", "keep, backend"),
        ("--backend-server-name=a b", "a host name"),
        ("--backend-client-key=/nowhere", "a file that exists"),
        ("--shim-path=a b", "a path"),
        ("--shim-path=a//b", "a path"),
        ("--shim-path=..", "a path"),
        ("--shim-path=a/./b", "a path"),
        ("--session-cookie-name=a b", "the name of a cookie"),
        ("--session-cookie-cache-limit=0", "1 to 1000000"),
        ("--banner-height=calc(1px)", "a number with px"),
        ("--banner-height=10pt", "a number with px"),
        ("--favicon-url=javascript:alert(1)", "a URL"),
        ("--health-check-path=a b", "a path"),
        ("--health-check-interval-seconds=-1", "0 to 86400"),
        ("--oidc-audience=a b", "an audience"),
        ("--status-port=0", "PORT or HOST:PORT"),
        ("--status-port=h:", "PORT or HOST:PORT"),
        ("--log-format=xml", "text or json"),
        ("--monitoring-resource-labels=a", "NAME=VALUE"),
        ("--monitoring-endpoint=h", "HOST:PORT"),
        ("--credentials=file:", "file:PATH"),
        ("--credentials=token", "file:PATH"),
        ("--concurrency=0", "1 to 10000"),
        ("--concurrency=10001", "1 to 10000"),
        ("--concurrency=many", "1 to 10000"),
        ("--proxy-timeout=-1s", "a duration"),
        ("--debug=maybe", "true or false"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_flag(argument: str, expected: str) -> None:
    with pytest.raises(FlagError) as caught:
        load(argument)
    message = str(caught.value)
    assert (message.startswith(argument.partition("=")[0]), expected in message, "\n" in message) == (True, True, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_credentials_may_travel_over_plain_http_to_this_machine(host: str) -> None:
    assert load(f"--proxy=http://{host}:8080").proxy.credentials == "google"


@pytest.mark.parametrize("credentials", ["google", "file:/token"])
def test_credentials_never_travel_over_plain_http_elsewhere(credentials: str) -> None:
    with pytest.raises(FlagError, match="https://"):
        load("--proxy=http://proxy.example.com", f"--credentials={credentials}")


def test_no_credentials_may_travel_anywhere() -> None:
    assert load("--proxy=http://proxy.example.com", "--credentials=none").proxy.proxy == "http://proxy.example.com"


@pytest.mark.parametrize(("argument", "text"), [("--help", "--graceful-shutdown-timeout"), ("-version", "agent")])
def test_help_and_version_are_texts(argument: str, text: str) -> None:
    with pytest.raises(SettingsRequest, match=text):
        load_settings([argument], {})


def test_googles_places_may_be_elsewhere() -> None:
    found = load_all(CLOUDSDK_CONFIG="/c", CLOUDSDK_ACTIVE_CONFIG_NAME="work", GCE_METADATA_HOST="m:80").google.machine
    assert (found.gcloud_folder, found.gcloud_configuration, found.metadata_host) == (Path("/c"), "work", "m:80")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--shim-path=s", "--websocket-shim-timeout=0"], "every wait has an end"),
        (["--session-cookie-name=s", "--session-cookie-timeout=0"], "every session has an end"),
        (["--health-check-interval-seconds=1", "--health-check-timeout=0"], "every wait has an end"),
        (["--credentials=none", "--oidc-audience=c"], "--credentials=google"),
        (["--backend-client-key={file}"], "--backend-client-certificate"),
        (["--backend-insecure-skip-verify", "--backend-ca-file={file}"], "contradict"),
        (["--path-map=/a=b", "--path-map=/a/=c"], "/a stands twice"),
    ],
)
def test_flags_that_do_not_fit_together_are_one_line(arguments: list[str], expected: str, tmp_path: Path) -> None:
    path = Authority(tmp_path).file
    with pytest.raises(FlagError) as caught:
        load(*(argument.format(file=path) for argument in arguments))
    assert (expected in str(caught.value), "\n" in str(caught.value)) == (True, False)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of PEM files, good and bad ones."""
    folder = tmp_path_factory.mktemp("pem")
    authority = Authority(folder)
    authority.issue("whole.test")
    for name in ("split.test", "other.test"):
        authority.issue(name, is_split=True)
    (folder / "empty.pem").touch()
    (folder / "text.pem").write_text("not a certificate\n", "ascii")
    certificate = (folder / "split.test.pem").read_text("ascii")
    (folder / "cut.pem").write_text(certificate[: len(certificate) // 2], "ascii")
    key = serialization.load_pem_private_key((folder / "split.test.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    (folder / "locked.key").write_bytes(locked)
    (folder / "locked.pem").write_bytes(certificate.encode("ascii") + locked)
    (folder / "revoked.pem").write_bytes(authority.revocations())
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["--backend-ca-file={pem}/authority.pem", "--proxy-ca-file={pem}/authority.pem"],
        ["--backend-ca-file={pem}/split.test.pem"],
        ["--backend-client-certificate={pem}/whole.test.pem"],
        ["--backend-client-certificate={pem}/split.test.pem", "--backend-client-key={pem}/split.test.key"],
        ["--backend-ca-file=", "--proxy-ca-file=", "--backend-client-certificate=", "--backend-client-key="],
    ],
)
def test_certificates_and_keys_that_ssl_takes_are_taken(arguments: list[str], pem: Path) -> None:
    agent = load(*(argument.format(pem=pem) for argument in arguments))
    files = [
        agent.backend.backend_ca_file,
        agent.proxy.proxy_ca_file,
        agent.backend.backend_client_certificate,
        agent.backend.backend_client_key,
    ]
    given = [argument.format(pem=pem).partition("=")[2] for argument in arguments]
    assert {str(path) for path in files if path} == {text for text in given if text}


@pytest.mark.parametrize("flag", ["--backend-ca-file", "--proxy-ca-file"])
@pytest.mark.parametrize(
    "name", ["nowhere.pem", ".", "empty.pem", "text.pem", "cut.pem", "split.test.key", "revoked.pem"]
)
def test_a_file_without_certificates_is_named_at_the_start(flag: str, name: str, pem: Path) -> None:
    with pytest.raises(FlagError) as caught:
        load(f"{flag}={pem / name}")
    expected = "expected a file with certificates (PEM)"
    assert str(caught.value) == f"{flag} is {str(pem / name)!r}: {expected}"


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        ("empty.pem", ""),
        ("text.pem", ""),
        ("split.test.pem", ""),
        ("split.test.key", ""),
        ("locked.pem", ""),
        ("split.test.pem", "locked.key"),
        ("split.test.pem", "other.test.key"),
        ("split.test.pem", "empty.pem"),
        ("cut.pem", "split.test.key"),
    ],
)
def test_a_certificate_without_its_key_is_named_at_the_start_and_no_password_is_asked_for(
    certificate: str, key: str, pem: Path
) -> None:
    keys = [f"--backend-client-key={pem / key}"] if key else []
    with pytest.raises(FlagError) as caught:
        load(f"--backend-client-certificate={pem / certificate}", *keys)
    message = str(caught.value)
    assert message.startswith(f"--backend-client-certificate is {str(pem / certificate)!r}")
    assert (f"--backend-client-key {str(pem / key)!r}" in message, "\n" in message) == (bool(key), False)
    assert message.endswith(": expected a certificate and the key that belongs to it (PEM, without a password)")


@pytest.mark.parametrize(
    ("text", "address"),
    [("9090", ("127.0.0.1", 9090)), ("0.0.0.0:9090", ("0.0.0.0", 9090)), ("[::1]:9090", ("::1", 9090))],
)
def test_the_status_port_is_this_machines_own_without_a_host(text: str, address: tuple[str, int]) -> None:
    assert load_all(f"--status-port={text}").running.status_port == address


def test_fields_and_paths_are_taken_apart() -> None:
    agent = load("--request-header=A: b: c", "--request-header=D:", "--path-map=/api=h:81", "--path-map=/=unix:///s")
    assert agent.backend.request_header == (("A", "b: c"), ("D", ""))
    assert agent.backend.path_map == (("/api", "http://h:81"), ("/", "unix:///s"))


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ([], ""),
        (["--shim-path=s"], "s"),
        (["--shim-websockets"], "websocket-shim"),
        (["--shim-websockets", "--shim-path=s"], "s"),
    ],
)
def test_a_script_in_the_pages_needs_a_path(arguments: list[str], path: str) -> None:
    assert load(*arguments).websockets.path == path


def test_slashes_around_the_path_of_the_shim_do_not_count() -> None:
    assert load("--shim-path=/a/b/").websockets.shim_path == "a/b"


def test_a_file_lists_backends_with_settings_of_their_own(tmp_path: Path) -> None:
    text = """
        proxy = "https://p.example.com"
        shim-path = "shim"
        log-format = "json"
        debug = true

        [[backends]]
        backend = "notebook"
        host = "localhost:8888"
        shim-websockets = true

        [[backends]]
        backend = "site"
        shim-path = ""
        session-cookie-cache-limit = 7
        request-header = ["A: b", "C: d"]
        path-map = { "/api" = "h:81" }
    """
    settings = load_file(tmp_path, text)
    notebook, site = settings.agents
    assert (settings.running.log_format, settings.running.debug) == ("json", True)
    assert [agent.proxy.proxy for agent in settings.agents] == ["https://p.example.com"] * 2
    assert (notebook.proxy.backend, notebook.backend.host) == ("notebook", "http://localhost:8888")
    assert (notebook.websockets.shim_path, notebook.websockets.shim_websockets) == ("shim", True)
    assert (site.proxy.backend, site.backend.host) == ("site", "http://localhost:8080")
    assert (site.websockets.shim_path, site.sessions.session_cookie_cache_limit) == ("", 7)
    assert site.backend.request_header == (("A", "b"), ("C", "d"))
    assert site.backend.path_map == (("/api", "http://h:81"),)


def test_a_file_without_backends_describes_one(tmp_path: Path) -> None:
    (agent,) = load_file(tmp_path, COMMON + 'backend = "a"').agents
    assert agent.proxy.backend == "a"


def test_the_command_line_beats_the_file_and_the_file_the_environment(tmp_path: Path) -> None:
    text = COMMON + 'shim-path = "f"\nhealth-check-path = "/f"\nbanner-height = "1px"\n[[backends]]\nbackend = "a"\n'
    text += 'banner-height = "2px"\n'
    environment = {"SHIM_PATH": "e", "HEALTH_CHECK_PATH": "/e", "BANNER_HEIGHT": "3px", "BACKEND": "e", "PORT": "81"}
    (agent,) = load_file(tmp_path, text, "--shim-path=c", **environment).agents
    assert agent.websockets.shim_path == "c"
    assert agent.health.health_check_path == "/f"
    assert agent.banner.banner_height == "2px"
    assert (agent.proxy.backend, agent.backend.host) == ("a", "http://localhost:81")


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(TWO, "utf-8")
    assert len(load_settings([], {"CONFIG": str(tmp_path / "f")}).agents) == 2


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        ("proxy =", [], "not TOML"),
        ("\u00e9 = 1", [], "not TOML"),
        ("nonsense = 1", [], "agents.toml: nonsense: no such setting here"),
        ("config = 'x'", [], "agents.toml: config: no such setting here"),
        ("proxy = 1979-05-27", [], "agents.toml: proxy is"),
        ("backends = 3", [], "[[backends]]"),
        (COMMON + "[[backends]]\nbackend = 'a'\ndebug = true", [], "backends[0].debug: no such setting here"),
        (COMMON + "[[backends]]\nbackend = 'a'\nhost = ['h']", [], "backends[0].host is ['h']: expected HOST:PORT"),
        (COMMON + "[[backends]]\nbackend = 'a'\nhost = ''", [], "backends[0].host is '': expected HOST:PORT"),
        (COMMON + "[[backends]]\nhost = 'h'", [], "--backend (or BACKEND) is missing"),
        (COMMON + "path-map = [1]", [], "agents.toml: path-map is [1]"),
        (COMMON + "path-map = { '/a' = 1 }", [], "agents.toml: path-map is {'/a': 1}"),
        (TWO.replace('"b"', '"a"'), [], "backend 'a' of https://p.example.com stands twice"),
        (
            TWO.replace('"b"', '"a"\nproxy = "https://p.example.com/"'),
            [],
            "backend 'a' of https://p.example.com stands twice",
        ),
        (TWO, ["--host=h"], "--host is given"),
        (TWO, ["--backend=c"], "--backend is given"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_place(
    text: str, arguments: list[str], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(FlagError) as caught:
        load_file(tmp_path, text, *arguments)
    assert (expected in str(caught.value), "\n" in str(caught.value)) == (True, False)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FlagError, match="nowhere.toml: cannot be read: No such file"):
        load_settings([f"--config={tmp_path / 'nowhere.toml'}"], {})


@pytest.mark.parametrize(
    "argument",
    ["--request-header=Authorization Bearer s3cr3t", "--proxy=http://user:s3cr3t@host", "--host=http://u:s3cr3t@h"],
)
def test_an_error_repeats_no_secret(argument: str) -> None:
    with pytest.raises(FlagError, match="expected") as caught:
        load(argument)
    assert "s3cr3t" not in str(caught.value)
