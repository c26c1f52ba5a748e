# SPDX-License-Identifier: Apache-2.0
"""Where the daemon is: from a flag, the environment, a context, or the embedded default.

The order is Docker's (`-H`, `DOCKER_HOST`, `--context`/`DOCKER_CONTEXT`, `currentContext`), with `HOLDFAST_HOST` before `DOCKER_HOST`.
Only when none of them names a host may the caller start an embedded daemon (`Endpoint.is_embedded`).
Nothing here connects; `client.dial` does.
"""

from __future__ import annotations

import os

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

EMBEDDED_SOCKET = "/run/holdfast/holdfast.sock"


class Tls:
    """Paths of the client's TLS files; empty strings mean none."""

    __slots__ = ("ca", "cert", "key", "verify")

    def __init__(self, *, ca: str, cert: str, key: str, verify: bool) -> None:
        self.ca, self.cert, self.key, self.verify = ca, cert, key, verify


class Endpoint:
    """One address: `scheme` is unix, tcp or ssh; `address` a path, `host:port`, or `user@host[:port]`."""

    __slots__ = ("address", "is_embedded", "scheme", "tls")

    def __init__(self, scheme: str, address: str, *, tls: Tls | None = None, is_embedded: bool = False) -> None:
        self.scheme, self.address, self.tls, self.is_embedded = scheme, address, tls, is_embedded

    def __str__(self) -> str:
        return f"{self.scheme}://{self.address}"


def parse(host: str, tls: Tls | None = None) -> Endpoint:
    """Reads `unix:///path`, `tcp://host:port`, `ssh://user@host` or a bare `host:port`; InvalidArgument otherwise."""
    scheme, mark, rest = host.partition("://")
    if not mark:
        scheme, rest = "tcp", host
    rest = rest.rstrip("/") if scheme != "unix" else rest
    if scheme not in ("unix", "tcp", "ssh") or not rest:
        raise errors.InvalidArgument(
            f'unable to parse docker host "{host}": name one as unix:///path, tcp://host:port or ssh://user@host'
        )
    if scheme == "tcp":
        port = rest.rpartition(":")[2]
        if ":" not in rest or rest.endswith("]"):
            rest += ":2376" if tls else ":2375"
        elif not port.isdigit() or int(port) > 65535:
            raise errors.InvalidArgument(f'invalid port "{port}" in docker host "{host}"')
    return Endpoint(scheme, rest, tls=tls if scheme == "tcp" else None)


def config_directory(environment: Mapping[str, str]) -> str:
    """`DOCKER_CONFIG`, or `.docker` below the home directory."""
    return environment.get("DOCKER_CONFIG") or os.path.join(environment.get("HOME", "/root"), ".docker")


def _environment_tls(environment: Mapping[str, str]) -> Tls | None:
    if not (environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_TLS")):
        return None
    folder = environment.get("DOCKER_CERT_PATH") or config_directory(environment)
    return Tls(
        ca=os.path.join(folder, "ca.pem"),
        cert=os.path.join(folder, "cert.pem"),
        key=os.path.join(folder, "key.pem"),
        verify=bool(environment.get("DOCKER_TLS_VERIFY")),
    )


def _current_context(environment: Mapping[str, str]) -> str:
    path = os.path.join(config_directory(environment), "config.json")
    if not os.path.exists(path):
        return ""
    import json

    try:
        with open(path, encoding="utf-8") as file:
            document: dict[str, object] = json.load(file)
    except (OSError, ValueError) as error:
        raise errors.InvalidArgument(f"cannot read {path}: {error}") from error
    name = document.get("currentContext", "")
    return name if isinstance(name, str) else ""


def _context_endpoint(name: str, environment: Mapping[str, str]) -> Endpoint:
    import hashlib
    import json

    identity = hashlib.sha256(name.encode()).hexdigest()
    folder = os.path.join(config_directory(environment), "contexts")
    try:
        with open(os.path.join(folder, "meta", identity, "meta.json"), encoding="utf-8") as file:
            endpoint = json.load(file)["Endpoints"]["docker"]
    except FileNotFoundError:
        raise errors.NotFound(f'context "{name}" not found: list them with `docker context ls`') from None
    except (OSError, ValueError, KeyError) as error:
        raise errors.InvalidArgument(f'context "{name}" cannot be read: {error!r}') from error
    keys = os.path.join(folder, "tls", identity, "docker")
    tls = None
    if os.path.isdir(keys):
        tls = Tls(
            ca=os.path.join(keys, "ca.pem"),
            cert=os.path.join(keys, "cert.pem"),
            key=os.path.join(keys, "key.pem"),
            verify=not endpoint.get("SkipTLSVerify", False),
        )
    return parse(endpoint["Host"], tls)


def resolve(
    environment: Mapping[str, str], *, host: str | None = None, context: str | None = None, tls: Tls | None = None
) -> Endpoint:
    """Decides which daemon to talk to; reads files only when a context is named."""
    tls = tls or _environment_tls(environment)
    named = host or (None if context else environment.get("HOLDFAST_HOST") or environment.get("DOCKER_HOST"))
    if named:
        return parse(named, tls)
    name = context or environment.get("DOCKER_CONTEXT") or _current_context(environment)
    if name and name != "default":
        return _context_endpoint(name, environment)
    return Endpoint("unix", EMBEDDED_SOCKET, is_embedded=True)
