# SPDX-License-Identifier: Apache-2.0
"""`hold`: finds the command, reads its flags, runs it, and turns errors into a line on stderr and an exit code.

Exit codes are the docker CLI's: 125 for a wrong flag and for whatever stops `run`, `create` or `exec` before the command itself,
1 for other failures, the command's own code otherwise.
"""

from __future__ import annotations

import os
import sys

from holdfast import errors
from holdfast.cli import directory, flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.client import address
    from holdfast.client.api import Api

_GLOBAL_FLAGS = (
    flags.Flag("context", "c"),
    flags.Flag("host", "H", "list"),
    flags.Flag("debug", "D", "bool"),
    flags.Flag("log-level", "l"),
    flags.Flag("tls", "", "bool"),
    flags.Flag("tlsverify", "", "bool"),
    flags.Flag("tlscacert"),
    flags.Flag("tlscert"),
    flags.Flag("tlskey"),
    flags.Flag("config"),
    flags.Flag("version", "v", "bool"),
    flags.Flag("help", "h", "bool"),
)
_HELP = flags.Flag("help", "", "bool", "Print usage")


class Session:
    """What a command gets: the daemon (connected on first use) and how to speak on stderr."""

    def __init__(self, endpoint: address.Endpoint) -> None:
        self._endpoint = endpoint
        self._api: Api | None = None

    @property
    def api(self) -> Api:
        """The daemon's API."""
        if self._api is None:
            from holdfast.client.api import Api

            self._api = Api(self._endpoint, say=self.say)
        return self._api

    @property
    def endpoint(self) -> address.Endpoint:
        """Where the daemon is."""
        return self._endpoint

    def say(self, text: str) -> None:
        """One line on stderr."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _session(values: flags.Values) -> Session:
    from holdfast.client import address

    if values["config"]:
        os.environ["DOCKER_CONFIG"] = values["config"]
    tls = None
    if values["tls"] or values["tlsverify"]:
        folder = os.environ.get("DOCKER_CERT_PATH") or address.config_directory(os.environ)
        tls = address.Tls(
            ca=values["tlscacert"] or os.path.join(folder, "ca.pem"),
            cert=values["tlscert"] or os.path.join(folder, "cert.pem"),
            key=values["tlskey"] or os.path.join(folder, "key.pem"),
            verify=values["tlsverify"],
        )
    hosts = values["host"]
    if len(hosts) > 1:
        raise errors.InvalidArgument("specify only one -H")
    host = hosts[0] if hosts else None
    return Session(address.resolve(os.environ, host=host, context=values["context"] or None, tls=tls))


def _load(module: str) -> flags.Command:
    package = __import__(f"holdfast.cli.commands.{module}", fromlist=["COMMAND"])
    command: flags.Command = package.COMMAND
    return command


def _run_command(session: Session, command: flags.Command, argv: list[str]) -> int:
    table = (*command.flags, _HELP)
    try:
        values, arguments = flags.parse(table, argv, interspersed=command.interspersed)
    except errors.InvalidArgument as error:
        return _fail_usage(error.message, command, 125)
    if values["help"]:
        print(command.help())
        return 0
    try:
        command.check_count(arguments)
    except errors.InvalidArgument as error:
        return _fail_usage(error.message, command, 1)
    return command.run(session, values, arguments)


def _fail_usage(message: str, command: flags.Command, code: int) -> int:
    hint = f"Run 'hold {command.name} --help' for more information"
    sys.stderr.write(f"hold: {message}\n\nUsage:  hold {command.usage}\n\n{hint}\n")
    return code


def _dispatch(argv: list[str]) -> int:
    try:
        values, words = flags.parse(_GLOBAL_FLAGS, argv, interspersed=False)
    except errors.InvalidArgument as error:
        sys.stderr.write(f"hold: {error.message}\n\nRun 'hold --help' for more information\n")
        return 125
    if values["version"]:
        from holdfast.cli.commands.version import CLIENT_VERSION

        print(f"Holdfast version {CLIENT_VERSION}")
        return 0
    if values["help"] or not words or words[0] == "help":
        return _help(words[1:] if words and words[0] == "help" else [])
    found = directory.find(words)
    if found is None:
        return _unknown(words)
    module, taken = found
    return _run_command(_session(values), _load(module), words[taken:])


def _help(words: list[str]) -> int:
    found = directory.find(words)
    if found is not None:
        print(_load(found[0]).help())
    elif words and words[0] in directory.GROUPS:
        print(directory.group_help(words[0]))
    else:
        print(directory.help_text())
    return 0


def _unknown(words: list[str]) -> int:
    if words[0] in directory.GROUPS:
        if len(words) == 1 or words[1] in ("--help", "-h"):
            print(directory.group_help(words[0]))
            return 0
        shown = " ".join(words[:2])
        sys.stderr.write(f"hold: unknown command: hold {shown}\n\nRun 'hold {words[0]} --help' for more information\n")
        return 1
    import difflib

    known = [*directory.COMMON, *directory.OTHERS, *directory.GROUPS]
    near = difflib.get_close_matches(words[0], known, n=1)
    hint = f"\n\nDid you mean `hold {near[0]}`?" if near else ""
    sys.stderr.write(f"hold: unknown command: hold {words[0]}{hint}\n\nRun 'hold --help' for more information\n")
    return 1


def main(argv: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except errors.HoldfastError as error:
        from holdfast.cli import failure

        code = failure.report(error, words)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # The reader of our output has gone: what a shell pipeline expects is silence.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    return code
