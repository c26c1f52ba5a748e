# SPDX-License-Identifier: Apache-2.0
"""Docker's `config.json` as the place of registry passwords: inline, in a credential store, or with a helper per host.

The file is shared with the docker CLI: what is not ours in it stays as it is. A helper gets and gives secrets through
pipes, never through its arguments. Source: docker CLI `config.json`, docker-credential-helpers' protocol.
"""

from __future__ import annotations

import os

from holdfast import errors
from holdfast.client import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HUB = "https://index.docker.io/v1/"
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
_TOKEN_USER = "<token>"
_NOT_FOUND = "credentials not found"


def server_of(name: str) -> str:
    """The key of a server in config.json: Docker Hub's index by its URL, others as host and port."""
    host = (name.partition("://")[2] or name).partition("/")[0]
    return HUB if host in ("", *_HUB_NAMES) else host


def server_of_image(name: str) -> str:
    """The server that an image's name leads to."""
    head, slash, _ = name.partition("/")
    return server_of(head if slash and ("." in head or ":" in head or head == "localhost") else "")


class ConfigFile:
    """One config.json; read when made, written by `put` and `drop`."""

    def __init__(self, path: str = "") -> None:
        self.path = path or os.path.join(address.config_directory(os.environ), "config.json")
        self._document: dict[str, Any] = {}
        if os.path.exists(self.path):
            import json

            try:
                with open(self.path, encoding="utf-8") as file:
                    self._document = json.load(file)
            except (OSError, ValueError) as error:
                raise errors.InvalidArgument(f"cannot read {self.path}: {error}") from error

    def helper_of(self, server: str) -> str:
        """The program that keeps this server's secrets; empty when the file does."""
        helpers: dict[str, str] = self._document.get("credHelpers") or {}
        name = str(helpers.get(server) or self._document.get("credsStore") or "")
        if name and not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise errors.InvalidArgument(f"invalid credential helper {name!r} in {self.path}")
        return f"docker-credential-{name}" if name else ""

    def get(self, server: str) -> dict[str, str]:
        """The API's auth object for a server; empty when nothing is known."""
        helper = self.helper_of(server)
        if helper:
            return _from_helper(helper, server)
        entries: dict[str, dict[str, str]] = self._document.get("auths") or {}
        entry = next((found for key, found in entries.items() if server_of(key) == server), None)
        return _decoded(entry, server) if entry else {}

    def put(self, server: str, auth: dict[str, str]) -> None:
        """Keeps a log-in."""
        helper = self.helper_of(server)
        entries = self._document.setdefault("auths", {})
        if helper:
            import json

            token = auth.get("identitytoken")
            secret = {
                "ServerURL": server,
                "Username": _TOKEN_USER if token else auth["username"],
                "Secret": token or auth["password"],
            }
            _run(helper, "store", json.dumps(secret))
            entries[server] = {}
        else:
            import base64

            pair = f"{auth['username']}:{'' if auth.get('identitytoken') else auth['password']}"
            entries[server] = {"auth": base64.b64encode(pair.encode()).decode()}
            if auth.get("identitytoken"):
                entries[server]["identitytoken"] = auth["identitytoken"]
        self._write()

    def drop(self, server: str) -> bool:
        """Forgets a log-in; false when there was none."""
        helper = self.helper_of(server)
        entries: dict[str, Any] = self._document.get("auths") or {}
        keys = [key for key in entries if server_of(key) == server]
        if helper:
            _run(helper, "erase", server)
        for key in keys:
            del entries[key]
        if keys:
            self._write()
        return bool(keys or helper)

    def _write(self) -> None:
        """Replaces the file at once, readable by its owner only; through a link to where it leads."""
        import json

        path = os.path.realpath(self.path)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        partial = f"{path}.{os.getpid()}"
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "w", encoding="utf-8") as file:
                json.dump(self._document, file, indent="\t")
                file.flush()
                os.fsync(fd)
            os.replace(partial, path)
        except BaseException:
            os.unlink(partial)
            raise


def header(auth: dict[str, str]) -> dict[str, str]:
    """`X-Registry-Auth` for the daemon."""
    import base64
    import json

    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()}


def header_for_image(name: str) -> dict[str, str]:
    """The header for a pull or push of an image."""
    return header(ConfigFile().get(server_of_image(name)))


def _decoded(entry: dict[str, str], server: str) -> dict[str, str]:
    import base64
    import binascii

    auth = {"serveraddress": server}
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise errors.InvalidArgument(f"the log-in for {server} in config.json is damaged: log in again") from None
        auth |= {"username": user, "password": password.strip("\0")}
    for name in ("username", "password", "identitytoken", "registrytoken"):
        if entry.get(name):
            auth[name] = entry[name]
    return auth


def _from_helper(helper: str, server: str) -> dict[str, str]:
    import json

    try:
        found: dict[str, str] = json.loads(_run(helper, "get", server))
    except _NotFound:
        return {}
    except ValueError:
        raise errors.InvalidArgument(f"{helper} gave no answer that can be read") from None
    auth = {"serveraddress": server}
    if found.get("Username") == _TOKEN_USER:
        return {**auth, "identitytoken": found.get("Secret", "")}
    return {**auth, "username": found.get("Username", ""), "password": found.get("Secret", "")}


class _NotFound(errors.NotFound):
    """The helper knows nothing of the server."""


def _run(helper: str, action: str, said: str) -> str:
    import subprocess

    try:
        done = subprocess.run([helper, action], input=said, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "no answer"
        raise errors.InvalidArgument(f"error getting credentials: {helper}: {reason}") from None
    if done.returncode != 0:
        if _NOT_FOUND in done.stdout + done.stderr:
            raise _NotFound(f"{helper} has no credentials for {said}")
        text = done.stdout.strip() or done.stderr.strip()
        raise errors.InvalidArgument(f"{helper} {action} failed: {text[:200] if action != 'get' else 'see its log'}")
    return done.stdout
