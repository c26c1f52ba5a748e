# SPDX-License-Identifier: Apache-2.0
"""Answering a registry's challenge: basic, or a bearer token fetched from the realm that it names.

One `Authenticator` serves one repository at one endpoint for one user; thread-safe, keeps nothing on disk. Who may be
told the password is decided by `credentials.may_send`, nowhere else. Called by `distribution.remote`.
Source: distribution "Token Authentication Specification" and its OAuth2 variant; RFC 7617.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from holdfast.distribution import addresses, answers, challenge
from holdfast.distribution.challenge import Challenge
from holdfast.distribution.credentials import Credentials, is_same_origin, may_send
from holdfast.distribution.endpoints import Endpoint
from holdfast.distribution.http import DEFAULT_TRUST, HTTP
from holdfast.distribution.retry import retry_after_seconds
from holdfast.errors import Unauthenticated

TOKEN_MAX_BYTES = 256 * 1024
CLIENT_ID = "holdfast"
_DEFAULT_LIFE_SECONDS = 60
_SAFETY_SECONDS = 10


def merged_scopes(scopes: list[str]) -> list[str]:
    """Each resource once with all the actions asked for it, in the order of first mention."""
    actions: dict[str, list[str]] = {}
    for scope in scopes:
        resource, colon, wanted = scope.rpartition(":")
        known = actions.setdefault(resource if colon else scope, [])
        known.extend(action for action in wanted.split(",") if colon and action not in known)
    return [f"{resource}:{','.join(wanted)}" if wanted else resource for resource, wanted in actions.items()]


class NoCredentials(Unauthenticated):
    """The registry wants a log-in and the user gave none; status 500 is what Docker's API has for it."""

    http_status = 500


class _Token(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    expires_in: int | None = None


class Authenticator:
    """Remembers what the registry accepts, and renews it."""

    def __init__(
        self, http: HTTP, endpoint: Endpoint, credentials: Credentials, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = http
        self._endpoint = endpoint
        self._credentials = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._value = ""
        self._expires = 0.0
        self._scopes: set[str] = set()

    def authorization(self, scope: str = "") -> str:
        """The `Authorization` value to send now; empty before the first challenge, after expiry, and for new scopes."""
        with self._lock:
            return self._value if self._is_valid(scope) else ""

    def _is_valid(self, scope: str) -> bool:
        is_wide_enough = not self._value.startswith("Bearer ") or set(scope.split()) <= self._scopes
        return bool(self._value) and self._clock() < self._expires and is_wide_enough

    def answer(self, header: str, scope: str, rejected: str, url: str) -> str:
        """The value to try after `url` answered 401 to a request with `rejected`; Unauthenticated when there is none.

        `scope` is what the caller is going to do, in addition to what the registry asks: scopes with blanks between.
        """
        with self._lock:
            if self._value != rejected and self._is_valid(scope):
                return self._value
            challenges = challenge.parse(header)
            by_scheme = {item.scheme: item for item in reversed(challenges)}
            if "bearer" in by_scheme:
                value, life = self._bearer(by_scheme["bearer"], scope)
            elif "basic" in by_scheme:
                value, life = self._basic(url), float("inf")
            else:
                raise Unauthenticated(f"{self._endpoint.host} asks for a log-in of a kind that is not supported")
            if value == rejected:
                raise Unauthenticated("unauthorized: incorrect username or password")
            self._value, self._expires, self._scopes = value, self._clock() + life, set(scope.split())
            return value

    def _basic(self, url: str) -> str:
        if not self._credentials.basic:
            raise NoCredentials(f'Get "{url}": no basic auth credentials')
        if not may_send(self._endpoint.url, self._endpoint.url):
            raise Unauthenticated(
                f"refusing to send a password to {self._endpoint.host} over plain http: give the registry a certificate"
            )
        return self._credentials.basic

    def _bearer(self, asked: Challenge, scope: str) -> tuple[str, float]:
        if self._credentials.registry_token:
            if not may_send(self._endpoint.url, self._endpoint.url):
                raise Unauthenticated(f"refusing to send a token to {self._endpoint.host} over plain http")
            return f"Bearer {self._credentials.registry_token}", float("inf")
        realm = addresses.join(self._endpoint.url + "/", asked.realm) if asked.realm else ""
        if not realm:
            raise Unauthenticated(
                f"{self._endpoint.host} names no usable token server: {answers.printable(asked.realm)!r}"
            )
        scopes = merged_scopes([*asked.scopes, *scope.split()])
        is_trusted = may_send(self._endpoint.url, realm)
        if self._credentials.identity_token and is_trusted:
            token = self._refresh(realm, asked.service, scopes)
        else:
            token = self._fetch(realm, asked.service, scopes, is_trusted=is_trusted)
        value = token.token or token.access_token
        if not value or not value.isascii() or not value.isprintable():
            raise Unauthenticated("authorization server did not include a token in the response")
        return f"Bearer {value}", max(token.expires_in or 0, _DEFAULT_LIFE_SECONDS) - _SAFETY_SECONDS

    def _fetch(self, realm: str, service: str, scopes: list[str], *, is_trusted: bool) -> _Token:
        query = [("scope", scope) for scope in scopes]
        if service:
            query.append(("service", service))
        headers: dict[str, str] = {}
        if self._credentials.basic and is_trusted:
            headers["Authorization"] = self._credentials.basic
            query.append(("account", self._credentials.username))
        parts = urlsplit(realm)
        joined = "&".join(filter(None, (parts.query, urlencode(query))))
        url = urlunsplit((parts.scheme, parts.netloc, parts.path, joined, ""))
        return self._token("GET", url, headers, None, is_withheld=bool(self._credentials.basic) and not is_trusted)

    def _refresh(self, realm: str, service: str, scopes: list[str]) -> _Token:
        form = urlencode(
            {
                "grant_type": "refresh_token",
                "refresh_token": self._credentials.identity_token,
                "service": service,
                "scope": " ".join(scopes),
                "client_id": CLIENT_ID,
            }
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._token("POST", realm, headers, form.encode(), is_withheld=False)

    def _token(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, *, is_withheld: bool
    ) -> _Token:
        trust = self._endpoint.trust if is_same_origin(self._endpoint.url, url) else DEFAULT_TRUST
        with self._http.exchange(method, url, headers=headers, trust=trust, body=body) as answer:
            if answer.status == 200:
                data = answer.read(TOKEN_MAX_BYTES)
                try:
                    return msgspec.json.decode(data, type=_Token)
                except msgspec.MsgspecError:
                    raise Unauthenticated(f"{urlsplit(url).netloc} sent no token that can be read") from None
            refusal = answers.failure(
                answer.status,
                answer.read(answers.ERROR_BODY_MAX_BYTES),
                retry_after_seconds(answer.headers.get("Retry-After")),
            )
        if isinstance(refusal, answers.Transient):
            raise refusal
        withheld = (
            f" (the password for {self._endpoint.host} was not sent to {urlsplit(url).netloc}, which is another host)"
            if is_withheld
            else ""
        )
        raise Unauthenticated(refusal.message + withheld)
