# SPDX-License-Identifier: Apache-2.0
"""`hold login`: asks a registry whether it knows the user, and keeps the log-in where the docker CLI does."""

from __future__ import annotations

import os
import sys

from holdfast import errors
from holdfast.cli import registry_auth
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("password", "p", "string", "Password or Personal Access Token (PAT)"),
    Flag("password-stdin", "", "bool", "Take the Password or Personal Access Token (PAT) from stdin"),
    Flag("username", "u", "string", "Username"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Logs in with what was given, with what is kept, or with what the user types."""
    server = registry_auth.server_of(arguments[0] if arguments else "")
    config = registry_auth.ConfigFile()
    username, password = values["username"], _password(session, values)
    if values["password-stdin"] and not username:
        raise errors.InvalidArgument("Must provide --username with --password-stdin")
    if not username and not password:
        known = config.get(server)
        if known.get("username") or known.get("identitytoken"):
            session.say(f"Authenticating with existing credentials... [Username: {known.get('username', '')}]")
            return _try(session, config, server, known)
    if not username or not password:
        username, password = _ask(username)
    return _try(session, config, server, {"username": username, "password": password})


def _password(session: Session, values: Values) -> str:
    if values["password"]:
        if values["password-stdin"]:
            raise errors.InvalidArgument("--password and --password-stdin are mutually exclusive")
        session.say("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        return values["password"]
    return sys.stdin.read().rstrip("\r\n") if values["password-stdin"] else ""


def _ask(username: str) -> tuple[str, str]:
    if not os.isatty(0):
        raise errors.InvalidArgument("Error: Cannot perform an interactive login from a non TTY device")
    import getpass

    if not username:
        username = input("Username: ").strip()
    password = getpass.getpass("Password: ")
    if not username or not password:
        raise errors.InvalidArgument("username and password are required")
    return username, password


def _try(session: Session, config: registry_auth.ConfigFile, server: str, auth: dict[str, str]) -> int:
    answer = session.api.call("POST", "/auth", body={**auth, "serveraddress": server})
    token = answer.get("IdentityToken")
    if token:
        auth = {**auth, "password": "", "identitytoken": token}
    is_inline = not config.helper_of(server)
    config.put(server, {"username": "", "password": "", **auth})
    if is_inline:
        session.say(
            f"\nWARNING! Your credentials are stored unencrypted in '{config.path}'.\n"
            "Configure a credential helper to remove this warning. See\n"
            "https://docs.docker.com/go/credential-store/\n"
        )
    print(answer.get("Status", "Login Succeeded"))
    return 0


COMMAND = Command("login", "login [OPTIONS] [SERVER]", "Authenticate to a registry", run, _FLAGS, maximum=1)
