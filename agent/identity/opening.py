"""From what `--credentials` and its companions say to the header fields of every call; checked at the start."""

import logging
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.identity.accounts import SCOPES
from agent.identity.credentials import Combined, Credentials, NoCredentials, TokenFile
from agent.identity.errors import CredentialsError, UnusableCredentials
from agent.identity.machine import GoogleMachine
from agent.identity.search import find_account
from agent.identity.tokens import KeptToken, ShownToken, Token
from agent.identity.vm import VmIdentity

if TYPE_CHECKING:
    from agent.identity.google_calls import GoogleCalls

logger = logging.getLogger(__name__)

_FILE: Final = "file:"


def open_credentials(
    kind: str,
    *,
    proxy_url: str,
    machine: GoogleMachine,
    oidc_audience: str = "",
    iap_client_id: str = "",
    shows_vm: bool = True,
    choose_proxy: Callable[[str], str | None] = lambda url: None,
    ca_file: str | None = None,
) -> Credentials:
    """The credentials of one process, tried once.

    `kind` is `google`, `none` or `file:PATH`. With `oidc_audience` Google's account shows an ID token for it in place
    of an access token; with `iap_client_id` one for that in `Proxy-Authorization`, whatever `kind` is. `shows_vm`: with
    `google`, which VM this is. `choose_proxy` and `ca_file` are for calls to Google's token services.

    Raises `UnusableCredentials` for what will not work until somebody changes it. What may work later, such as a
    metadata server that does not answer yet, is left to the calls to the proxy, which are retried.
    """
    if oidc_audience and kind != "google":
        raise UnusableCredentials(f"--oidc-audience asks Google for a token, and --credentials is {kind}: drop one")
    # Here the clock is chosen.
    wall_clock = time.time  # noqa: TID251
    parts: list[Credentials] = [_own_token(kind)] if kind != "google" else []
    if kind == "google" or iap_client_id:
        account = find_account(
            machine, calls=partial(_google_calls, choose_proxy, wall_clock, ca_file), wall_clock=wall_clock
        )
        if oidc_audience:
            parts.append(ShownToken(_kept("ID token", lambda: account.id_token(oidc_audience))))
        elif kind == "google":
            parts.append(ShownToken(_kept("access token", lambda: account.access_token(SCOPES))))
        if iap_client_id:
            token = _kept("ID token for Identity-Aware Proxy", lambda: account.id_token(iap_client_id))
            parts.append(ShownToken(token, field="Proxy-Authorization"))
    if kind == "google" and shows_vm and machine.may_have_metadata_server:
        parts.append(VmIdentity(machine.metadata_host, audience=proxy_url, now=time.monotonic, wall_clock=wall_clock))
    credentials = Combined(*parts)
    _try(credentials)
    return credentials


def _google_calls(
    choose_proxy: Callable[[str], str | None], wall_clock: Callable[[], float], ca_file: str | None
) -> "GoogleCalls":
    from agent.identity.google_calls import GoogleCalls

    return GoogleCalls(choose_proxy, wall_clock=wall_clock, ca_file=ca_file)


def _own_token(kind: str) -> Credentials:
    if not kind.startswith(_FILE):
        return NoCredentials()
    file = TokenFile(Path(kind.removeprefix(_FILE)))
    try:
        file.fields()
    except CredentialsError as exc:
        # Later it may vanish for a moment while it is replaced; at the start the path is wrong.
        raise UnusableCredentials(str(exc)) from exc
    return file


def _kept(name: str, fetch: Callable[[], Token]) -> KeptToken:
    return KeptToken(fetch, name=name, now=time.monotonic, jitter=random.random)


def _try(credentials: Credentials) -> None:
    try:
        credentials.fields()
    except UnusableCredentials:
        raise
    except CredentialsError as exc:
        logger.warning("%s (asking again)", exc)
