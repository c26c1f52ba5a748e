# SPDX-License-Identifier: Apache-2.0
"""Bearer tokens of a separate token server: who signed them, for whom, until when, and what they allow.

A token is a JWT signed (RS256, ES256, EdDSA) with one of the keys that the file names; keys inside a token are not
looked at. Source: distribution "Token Authentication Specification" and "Token Scope"; RFC 7515, RFC 7519.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from holdfast.errors import InvalidArgument
from holdfast.registry.access import PULL, PUSH, Scope, unauthorized

Key: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

TOKEN_MAX_BYTES = 64 << 10
LEEWAY_SECONDS = 60
_P256_BYTES = 32
_MARK = b"-----BEGIN "


class _Header(msgspec.Struct):
    alg: str = ""


class _Access(msgspec.Struct):
    type: str = ""
    name: str = ""
    actions: tuple[str, ...] = ()


class _Claims(msgspec.Struct):
    iss: str = ""
    aud: str | list[str] = ""
    exp: float = 0.0
    nbf: float = 0.0
    access: tuple[_Access, ...] = ()


class TokenGate:
    """Whoever shows a good token may do what it says."""

    def __init__(
        self, *, realm: str, service: str, issuer: str, keys: list[Key], clock: Callable[[], float] = time.time
    ) -> None:
        self._realm = realm
        self._service = service
        self._issuer = issuer
        self._keys = keys
        self._clock = clock

    def admit(self, authorization: str, wanted: list[Scope]) -> list[Scope]:
        """See `access.Gate`."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise unauthorized(self._challenge(wanted))
        claims = self._claims(given.strip())
        if claims is None:
            raise unauthorized(self._challenge(wanted, "invalid_token"))
        granted = [scope for scope in wanted if _allows(claims, scope)]
        if wanted and wanted[0] not in granted:
            raise unauthorized(self._challenge(wanted, "insufficient_scope"))
        return granted

    def _challenge(self, wanted: list[Scope], error: str = "") -> str:
        text = f'Bearer realm="{self._realm}",service="{self._service}"'
        if wanted:
            action = f"{PULL},{PUSH}" if wanted[0].action == PUSH else wanted[0].action
            text += f',scope="{wanted[0].kind}:{wanted[0].name}:{action}"'
        return f'{text},error="{error}"' if error else text

    def _claims(self, token: str) -> _Claims | None:
        """What a token claims, if it is one of ours and of now; None otherwise."""
        head, _, rest = token.partition(".")
        body, _, signature = rest.partition(".")
        try:
            if len(token) > TOKEN_MAX_BYTES:
                return None
            algorithm = msgspec.json.decode(_decoded(head), type=_Header).alg
            signed = f"{head}.{body}".encode()
            if not any(is_signed(key, algorithm, signed, _decoded(signature)) for key in self._keys):
                return None
            claims = msgspec.json.decode(_decoded(body), type=_Claims)
        except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
            return None
        now = self._clock()
        audience = claims.aud if isinstance(claims.aud, list) else [claims.aud]
        is_ours = claims.iss == self._issuer and self._service in audience
        return claims if is_ours and claims.nbf - LEEWAY_SECONDS <= now < claims.exp + LEEWAY_SECONDS else None


def is_signed(key: Key, algorithm: str, data: bytes, signature: bytes) -> bool:
    """Tells whether the signature is the key's, by the one algorithm that fits the key."""
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm == "RS256":
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm == "ES256" and len(signature) == 2 * _P256_BYTES:
            halves = (int.from_bytes(signature[:_P256_BYTES], "big"), int.from_bytes(signature[_P256_BYTES:], "big"))
            key.verify(encode_dss_signature(*halves), data, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey) and algorithm == "EdDSA":
            key.verify(signature, data)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def read_keys(path: str) -> list[Key]:
    """The public keys in a PEM file of keys and certificates; InvalidArgument when there is none that is known."""
    try:
        with open(path, "rb") as file:
            parts = file.read().split(_MARK)[1:]
    except OSError as error:
        raise InvalidArgument(f"cannot read {path}: {error.strerror}") from None
    keys: list[Key] = []
    for part in parts:
        pem = _MARK + part
        try:
            is_certificate = part.startswith(b"CERTIFICATE")
            key = (
                x509.load_pem_x509_certificate(pem).public_key()
                if is_certificate
                else serialization.load_pem_public_key(pem)
            )
        except (ValueError, UnsupportedAlgorithm):
            raise InvalidArgument(f"{path} holds something that is no public key and no certificate") from None
        if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
            keys.append(key)
    if not keys:
        raise InvalidArgument(f"{path} holds no RSA, EC or Ed25519 public key")
    return keys


def _allows(claims: _Claims, scope: Scope) -> bool:
    return any(
        access.type == scope.kind
        and access.name == scope.name
        and (scope.action in access.actions or "*" in access.actions)
        for access in claims.access
    )


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
