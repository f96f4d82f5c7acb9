"""Handshakes in memory: two ends of `ssl`, and what each says handed to the other."""

import ssl
import warnings
from pathlib import Path

import pytest
from cryptography import x509

from edge.settings import SettingsError
from standalone.connections.tls import Certificate, load_context
from tests.agent.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def client(*, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A client that takes any certificate, to look at it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        # Python itself calls the old ones deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = most
    context.set_ciphers("ALL:@SECLEVEL=0")
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def shake_hands(server: ssl.SSLContext, caller: ssl.SSLContext, *, name: str | None = None) -> ssl.SSLObject:
    """The client's end after a handshake. Raises `ssl.SSLError`."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        caller.wrap_bio(down, up, server_hostname=name),
        server.wrap_bio(up, down, server_side=True),
    )
    for _ in range(5):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0]


def shown(end: ssl.SSLObject) -> str:
    """The name in the certificate that was shown."""
    certificate = end.getpeercert(binary_form=True)
    assert certificate
    [name] = x509.load_der_x509_certificate(certificate).subject
    return str(name.value)


@pytest.mark.parametrize("is_split", [False, True])
@pytest.mark.parametrize("name", ["proxy.example", "other.example", None])
def test_a_certificate_is_shown_whatever_name_is_asked_for(
    authority: Authority, is_split: bool, name: str | None
) -> None:
    path = authority.issue("proxy.example", is_split=is_split)
    certificate = Certificate(path, path.with_suffix(".key") if is_split else None)

    assert shown(shake_hands(certificate.context, client(), name=name)) == "proxy.example"


def test_it_speaks_versions_that_are_safe_and_no_others(authority: Authority) -> None:
    context = load_context(authority.issue("proxy.example"), None)

    assert shake_hands(context, client()).version() == "TLSv1.3"
    old = shake_hands(context, client(most=ssl.TLSVersion.TLSv1_2))
    assert old.version() == "TLSv1.2"
    cipher = old.cipher()
    assert cipher and cipher[0].startswith("ECDHE-") and ("GCM" in cipher[0] or "CHACHA20" in cipher[0])
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client(most=ssl.TLSVersion.TLSv1_1))


@pytest.mark.parametrize(
    ("offered", "chosen"), [((), None), (("h2", "http/1.1"), "http/1.1"), (("http/1.1",), "http/1.1"), (("h2",), None)]
)
def test_what_is_spoken_inside_is_agreed_on(authority: Authority, offered: tuple[str, ...], chosen: str | None) -> None:
    certificate = Certificate(authority.issue("proxy.example"), None)

    assert shake_hands(certificate.context, client(protocols=offered)).selected_alpn_protocol() == chosen


def test_a_new_certificate_is_shown_after_it_was_read_again(authority: Authority, tmp_path: Path) -> None:
    path = authority.issue("old.example")
    certificate = Certificate(path, None)
    path.write_bytes(authority.issue("new.example").read_bytes())

    assert shown(shake_hands(certificate.context, client())) == "old.example"
    certificate.reload()
    assert shown(shake_hands(certificate.context, client())) == "new.example"


def test_a_bad_new_pair_is_logged_and_the_old_one_stays(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    path = authority.issue("old.example", is_split=True)
    certificate = Certificate(path, path.with_suffix(".key"))
    path.write_bytes(authority.issue("new.example", is_split=True).read_bytes())
    certificate.reload()

    assert shown(shake_hands(certificate.context, client())) == "old.example"
    assert "the certificate is the one from before: tls.key: " in caplog.text
    path.unlink()
    certificate.reload()
    assert shown(shake_hands(certificate.context, client())) == "old.example"
    assert "old.example.pem cannot be read: No such file" in caplog.text


def test_a_file_that_cannot_be_used_is_named(authority: Authority, tmp_path: Path) -> None:
    pair, other = (authority.issue(name, is_split=True) for name in ("a.example", "b.example"))
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    locked = tmp_path / "locked.pem"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")

    def refusal(certificate: Path, key: Path | None) -> str:
        with pytest.raises(SettingsError) as refused:
            load_context(certificate, key)
        return str(refused.value).replace(f"{tmp_path}/", "")

    assert refusal(tmp_path / "none", None) == "tls.certificate: none cannot be read: No such file or directory"
    assert refusal(pair, tmp_path) == f"tls.key: {tmp_path} cannot be read: Is a directory"
    assert refusal(nonsense, None) == "tls.certificate: nonsense.pem has no certificate in it, but must (PEM)"
    assert refusal(pair, None) == "tls.key: is not set, but must be: a.example.pem has a certificate alone"
    assert (
        refusal(pair, pair) == "tls.key: a.example.pem has no key that can be used, but must (PEM, without a password)"
    )
    assert refusal(pair, locked).startswith("tls.key: locked.pem has no key that can be used, but must (PEM, without")
    assert refusal(pair, nonsense).startswith("tls.key: nonsense.pem has no key that can be used")
    assert refusal(pair, other.with_suffix(".key")) == (
        "tls.key: b.example.key has the key of another certificate than a.example.pem"
    )
