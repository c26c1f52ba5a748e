# SPDX-License-Identifier: Apache-2.0
"""Bearer tokens: a small token server's worth of good ones, and every way to be a bad one."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from holdfast.errors import InvalidArgument
from holdfast.registry import tokens

KEYS = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
STRANGER = ec.generate_private_key(ec.SECP256R1())


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sign(key: Any, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def token(algorithm: str = "ES256", key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
    now = time.time()
    access = [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}]
    body = {"iss": "issuer", "aud": "registry", "nbf": now - 1, "exp": now + 60, "access": access, **claims}
    signed = f"{b64(json.dumps(header or {'alg': algorithm}).encode())}.{b64(json.dumps(body).encode())}"
    return f"{signed}.{b64(sign(key or KEYS[algorithm], signed.encode()))}"


@pytest.fixture
def client(start: Any, tmp_path: Path) -> Any:
    pem = b"".join(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        for key in KEYS.values()
    )
    (tmp_path / "keys.pem").write_bytes(pem)
    flags = ["--token-realm", "https://auth.example/token", "--token-service", "registry", "--token-issuer", "issuer"]
    return start(*flags, "--token-key", str(tmp_path / "keys.pem")).client


def status(client: Any, method: str, path: str, bearer: str) -> int:
    return client.ask(method, path, b"" if method == "POST" else None, Authorization=f"Bearer {bearer}").status


def test_without_a_token_the_challenge_says_where_to_get_which(client: Any) -> None:
    pull = client.ask("GET", "/v2/team/app/tags/list").headers["www-authenticate"]
    push = client.ask("POST", "/v2/team/app/blobs/uploads/").headers["www-authenticate"]

    assert pull == 'Bearer realm="https://auth.example/token",service="registry",scope="repository:team/app:pull"'
    assert push.endswith('scope="repository:team/app:pull,push"')
    assert client.ask("GET", "/v2/").status == 401
    assert client.ask("GET", "/v2/_catalog").headers["www-authenticate"].endswith('scope="registry:catalog:*"')


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_a_good_token_opens_what_it_names(client: Any, algorithm: str) -> None:
    good = token(algorithm)

    assert status(client, "GET", "/v2/", good) == 200
    assert status(client, "POST", "/v2/team/app/blobs/uploads/", good) == 202
    assert status(client, "POST", "/v2/other/app/blobs/uploads/", good) == 401
    assert status(client, "GET", "/v2/_catalog", good) == 401


def test_a_token_for_pulling_does_not_push(client: Any) -> None:
    weak = token(access=[{"type": "repository", "name": "team/app", "actions": ["pull"]}])

    assert status(client, "GET", "/v2/team/app/manifests/v1", weak) == 404
    assert status(client, "POST", "/v2/team/app/blobs/uploads/", weak) == 401


def test_a_mount_needs_the_right_to_pull_there(client: Any) -> None:
    both = [{"type": "repository", "name": name, "actions": ["pull", "push"]} for name in ("team/app", "secret/app")]
    client.headers = {"Authorization": f"Bearer {token(access=both)}"}
    digest = client.put_blob("secret/app", b"secret")
    client.headers = {}

    mount = f"/v2/team/app/blobs/uploads/?mount={digest}&from=secret/app"

    assert status(client, "POST", mount, token()) == 202
    assert status(client, "POST", mount, token(access=both)) == 201


def test_bad_tokens(client: Any) -> None:
    good = token()
    head, body, signature = good.split(".")
    more = json.loads(base64.urlsafe_b64decode(body + "=="))
    more["access"] = [{"type": "repository", "name": "other", "actions": ["*"]}]
    bad = {
        "expired": token(exp=time.time() - 120),
        "of tomorrow": token(nbf=time.time() + 86400),
        "of another issuer": token(iss="other"),
        "for another registry": token(aud=["other"]),
        "signed by a stranger": token(key=STRANGER),
        "with its own key": token(key=STRANGER, header={"alg": "ES256", "x5c": ["AAAA"], "jwk": {}}),
        "unsigned": b64(json.dumps({"alg": "none"}).encode()) + f".{body}.",
        "of another algorithm": token(header={"alg": "HS256"}),
        "changed": f"{head}.{b64(json.dumps(more).encode())}.{signature}",
        "cut": good[:-10],
        "empty": "..",
        "nonsense": "a.b.c.d",
        "huge": "a" * 60_000,
    }

    for name, each in bad.items():
        assert status(client, "GET", "/v2/", each) == 401, name


def test_a_file_without_keys_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("nothing\n")
    (tmp_path / "wrong").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")

    for name in ("empty", "wrong", "missing"):
        with pytest.raises(InvalidArgument):
            tokens.read_keys(str(tmp_path / name))
