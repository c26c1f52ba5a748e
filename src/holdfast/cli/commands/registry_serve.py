# SPDX-License-Identifier: Apache-2.0
"""`hold registry serve`: becomes the registry's own program, which parses the same flags again."""

from __future__ import annotations

import os
import sys

from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("delete", "", "bool", "Allow clients to delete manifests, tags and blobs"),
    Flag("htpasswd", "", "string", "File of users with bcrypt passwords (htpasswd -B)", placeholder="file"),
    Flag("listen", "", "string", "Address to listen on", default="127.0.0.1:5000", placeholder="address"),
    Flag("log-level", "", "string", "debug, info, warning or error", default="warning"),
    Flag("proxy", "", "string", "Serve as a cache of the registry at this URL", placeholder="url"),
    Flag("root", "", "string", "Folder of the images", default="/var/lib/holdfast-registry", placeholder="folder"),
    Flag("tls-cert", "", "string", "Certificate, PEM", placeholder="file"),
    Flag("tls-key", "", "string", "Its key, PEM", placeholder="file"),
    Flag("token-issuer", "", "string", "Who must have issued a token"),
    Flag("token-key", "", "string", "Public keys or certificates of the token server, PEM", placeholder="file"),
    Flag("token-realm", "", "string", "Ask for bearer tokens from the token server at this URL", placeholder="url"),
    Flag("token-service", "", "string", "This registry's name at the token server"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Replaces this process; never returns."""
    argv = [sys.executable, "-m", "holdfast.registry.main"]
    for flag in _FLAGS:
        if flag.kind == "bool":
            argv += [f"--{flag.name}"] if values[flag.name] else []
        elif values[flag.name]:
            argv.append(f"--{flag.name}={values[flag.name]}")
    sys.stdout.flush()
    os.execv(sys.executable, argv)


COMMAND = Command(
    "registry serve", "registry serve [OPTIONS]", "Serve images to Docker's clients", run, _FLAGS, maximum=0
)
