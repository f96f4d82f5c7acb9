"""Google accounts that are kept in a file or by gcloud. With `google_calls` the only module that imports google.auth,
which takes its time.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any, Final

import google.auth.aws
import google.auth.credentials
import google.auth.exceptions
import google.auth.external_account_authorized_user
import google.auth.identity_pool
import google.auth.pluggable
import google.oauth2.credentials
import google.oauth2.service_account

from agent.identity.accounts import Account
from agent.identity.errors import CredentialsError, UnusableCredentials
from agent.identity.google_calls import GoogleCalls, cause_of
from agent.identity.impersonation import ImpersonatedAccount, impersonated_by_url
from agent.identity.tokens import Token, jwt_claims, jwt_token

_TOKEN_URL: Final = "https://oauth2.googleapis.com/token"
_AWS_SUBJECT: Final = "urn:ietf:params:aws:token-type:aws4_request"
_SHOWN: Final = 200
"""Characters of an error of the token server that are shown."""

_LOGIN: Final = "log in again (`gcloud auth login`, or `gcloud auth application-default login`)"


def stored_account(
    stored: Mapping[str, Any], *, description: str, calls: GoogleCalls, token_url: str = "", iam_endpoint: str = ""
) -> Account:
    """The account that a JSON object of gcloud's or of a credentials file describes.

    `token_url` and `iam_endpoint` replace Google's own. Raises `UnusableCredentials` for what is not such an object.
    """
    kinds: dict[object, Callable[[], Account]] = {
        "authorized_user": lambda: UserAccount(stored, description, calls, token_url=token_url or _TOKEN_URL),
        "service_account": lambda: ServiceAccount(stored, description, calls),
        "external_account": lambda: _external_account(stored, description, calls),
        "external_account_authorized_user": lambda: ExternalAccount(_external_user(stored), description, calls),
        "impersonated_service_account": lambda: _impersonated(stored, description, calls, token_url, iam_endpoint),
    }
    kind = stored.get("type")
    make = kinds.get(kind)
    if make is None:
        raise UnusableCredentials(f"{description} is of a type that is not known here: {kind!r:.40}")
    try:
        return make()
    except (google.auth.exceptions.GoogleAuthError, ValueError, KeyError, TypeError, AttributeError) as exc:
        # Not its text, which may quote a key.
        raise UnusableCredentials(f"{description} is not whole, or has no usable key: {type(exc).__name__}") from None


class _GoogleAccount:
    """An account by a credentials object of google.auth."""

    def __init__(self, credentials: Any, description: str, calls: GoogleCalls) -> None:
        self._credentials = credentials  # Any: google.auth has no types
        self._calls = calls
        self.description = description

    def access_token(self, scopes: Sequence[str]) -> Token:
        credentials = self._scoped(scopes)
        self._refresh(credentials)
        if credentials.expiry is None:
            raise CredentialsError(f"no access token of {self.description}: it came without an end")
        return Token(credentials.token, credentials.expiry.replace(tzinfo=UTC).timestamp() - self._calls.wall_clock())

    def id_token(self, audience: str) -> Token:
        raise UnusableCredentials(
            f"{self.description} cannot get an ID token for {audience!r}: use a service account, or impersonate one"
            " (`gcloud config set auth/impersonate_service_account ACCOUNT`)"
        )

    def _scoped(self, scopes: Sequence[str]) -> Any:
        return google.auth.credentials.with_scopes_if_required(self._credentials, list(scopes))  # type: ignore[no-untyped-call]

    def _refresh(self, credentials: Any) -> None:
        try:
            credentials.refresh(self._calls)
        except google.auth.exceptions.GoogleAuthError as exc:
            raise self._failure(exc) from None
        except (OSError, ValueError) as exc:
            raise UnusableCredentials(f"no token of {self.description}: {type(exc).__name__}") from None

    def _failure(self, exc: google.auth.exceptions.GoogleAuthError) -> CredentialsError:
        if isinstance(exc, google.auth.exceptions.TransportError):
            return CredentialsError(f"no token of {self.description}: Google is not reached: {cause_of(exc)}")
        said = _in_short(exc)
        if exc.retryable:
            return CredentialsError(f"no token of {self.description}: {said}")
        return UnusableCredentials(f"no token of {self.description}, it was refused: {said}: {self._advice()}")

    def _advice(self) -> str:
        return "is it still valid, and the clock right?"


class ServiceAccount(_GoogleAccount):
    """A service account by its key; its `token_uri` counts."""

    def __init__(self, stored: Mapping[str, Any], description: str, calls: GoogleCalls) -> None:
        make: Any = google.oauth2.service_account.Credentials.from_service_account_info
        email = str(stored["client_email"])
        super().__init__(make(stored), description if email in description else f"{description}, {email}", calls)
        self._stored = stored

    def id_token(self, audience: str) -> Token:
        make: Any = google.oauth2.service_account.IDTokenCredentials.from_service_account_info
        credentials = make(self._stored, target_audience=audience)
        self._refresh(credentials)
        return _checked_id_token(credentials.token, self.description, calls=self._calls)

    def _advice(self) -> str:
        return "does the account exist, is its key not deleted, and the clock right?"


class UserAccount(_GoogleAccount):
    """Somebody who has logged in by gcloud. The scopes are those of that login."""

    def __init__(self, stored: Mapping[str, Any], description: str, calls: GoogleCalls, *, token_url: str) -> None:
        make: Any = google.oauth2.credentials.Credentials.from_authorized_user_info
        super().__init__(make(stored).with_token_uri(token_url), description, calls)

    def _scoped(self, scopes: Sequence[str]) -> Any:
        return self._credentials

    def id_token(self, audience: str) -> Token:
        """The one that comes with each access token: its audience is the program that the user has logged in by."""
        self._refresh(self._credentials)
        if not self._credentials.id_token:
            return super().id_token(audience)
        token = _checked_id_token(self._credentials.id_token, self.description, calls=self._calls)
        if (found := jwt_claims(token.text).get("aud")) != audience:
            raise UnusableCredentials(
                f"{self.description} is a user, whose ID tokens are for {found!r:.120} alone and not for {audience!r}:"
                " use a service account, or impersonate one"
                " (`gcloud config set auth/impersonate_service_account ACCOUNT`)"
            )
        return token

    def _advice(self) -> str:
        return _LOGIN


class ExternalAccount(_GoogleAccount):
    """An account of another provider that Google exchanges for tokens of its own."""

    def _advice(self) -> str:
        return "is the provider's own token there and valid?"


def _external_account(stored: Mapping[str, Any], description: str, calls: GoogleCalls) -> Account:
    """With `service_account_impersonation_url` it becomes a service account."""
    own = {name: value for name, value in stored.items() if name != "service_account_impersonation_url"}
    source = ExternalAccount(_external_credentials(own), description, calls)
    url = stored.get("service_account_impersonation_url")
    return impersonated_by_url(url, source=source, calls=calls) if url else source


def _external_credentials(stored: Mapping[str, Any]) -> Any:
    pool: Any = google.auth.identity_pool.Credentials.from_info
    aws: Any = google.auth.aws.Credentials.from_info
    program: Any = google.auth.pluggable.Credentials.from_info
    if stored.get("subject_token_type") == _AWS_SUBJECT:
        return aws(stored)
    is_program = (stored.get("credential_source") or {}).get("executable") is not None
    return program(stored) if is_program else pool(stored)


def _external_user(stored: Mapping[str, Any]) -> Any:
    make: Any = google.auth.external_account_authorized_user.Credentials.from_info
    return make(stored)


def _impersonated(
    stored: Mapping[str, Any], description: str, calls: GoogleCalls, token_url: str, iam_endpoint: str
) -> Account:
    source = stored_account(
        stored["source_credentials"],
        description=description,
        calls=calls,
        token_url=token_url,
        iam_endpoint=iam_endpoint,
    )
    return impersonated_by_url(
        stored["service_account_impersonation_url"],
        source=source,
        calls=calls,
        delegates=tuple(stored.get("delegates") or ()),
    )


def gcloud_impersonation(
    source: Account, names: Sequence[str], *, calls: GoogleCalls, iam_endpoint: str
) -> ImpersonatedAccount:
    """What `auth/impersonate_service_account` makes of an account."""
    return ImpersonatedAccount(
        names[-1], source=source, calls=calls, delegates=tuple(names[:-1]), endpoint=iam_endpoint
    )


def _checked_id_token(text: object, description: str, *, calls: GoogleCalls) -> Token:
    try:
        return jwt_token(str(text), wall_time=calls.wall_clock())
    except ValueError as exc:
        raise CredentialsError(f"no ID token of {description}: what came is {exc}") from None


def _in_short(exc: google.auth.exceptions.GoogleAuthError) -> str:
    """Its first argument, which holds no secrets; further ones may quote an answer of the token server."""
    said = " ".join(str(exc.args[0]).split()) if exc.args else ""
    if not said or said[0] in "<{[" or not said.isprintable():
        return "an answer that is not understood"
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
