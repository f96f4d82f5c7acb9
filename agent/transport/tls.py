"""How a server is told from an impostor, and what it is shown of us."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Tls:
    """The rules of connections over TLS; without any, those of requests: its bundle, and the host's name."""

    ca_file: str | None = None
    """The authorities to trust, and no others (PEM)."""
    client_certificate: str | None = None
    """What we show (PEM); its key is in the same file if `client_key` is None."""
    client_key: str | None = None
    server_name: str | None = None
    """The name to ask for (SNI, RFC 6066 section 3) and to find in the certificate, instead of the URL's host."""
    verifies: bool = True


REQUESTS_RULES: Final = Tls()


class Http2Context(ssl.SSLContext):
    """Offers HTTP/2 alone, whatever it is told: urllib3 sets HTTP/1.1 again whenever it connects."""

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        super().set_alpn_protocols(["h2"])


def http2_context() -> ssl.SSLContext:
    """A context for HTTP/2, that is TLS 1.2 or later (RFC 9113 section 9.2); urllib3 loads the certificates into it."""
    context = Http2Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # urllib3 compares the names: version 1.26 does not tell OpenSSL what an IP address is compared with.
    context.check_hostname = False
    return context
