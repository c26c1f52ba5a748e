# SPDX-License-Identifier: Apache-2.0
"""The program behind `hold doctor`: finds the configuration, asks every section, prints the report.

Works with the daemon running, dead or never started, and changes nothing. Exit status 1 when something is wrong.
Run by `cli.commands.doctor` in its own process, for the client side knows nothing of the daemon's packages.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

import msgspec

from holdfast.daemon import config
from holdfast.daemon.config import Config
from holdfast.daemon.doctor import finding, host, leftovers, service, storage
from holdfast.daemon.doctor.finding import WRONG, Finding, good, wrong
from holdfast.errors import HoldfastError, InvalidArgument

SECTIONS: tuple[tuple[str, Callable[[Config], Iterable[Finding]]], ...] = (
    ("Kernel", host.look_at_kernel),
    ("Control groups", host.look_at_cgroups),
    ("Storage", storage.look),
    ("Network", service.look_at_network),
    ("Daemon", service.look_at_daemon),
    ("Leftovers", leftovers.look),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """`--json`, `--verify` and `--socket=PATH` are our own; every other word is one of holdfastd's."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json, verifies = "--json" in words, "--verify" in words
    sockets = tuple("unix://" + word.partition("=")[2] for word in words if word.startswith("--socket="))
    daemons = [word for word in words if word not in ("--json", "--verify") and not word.startswith("--socket=")]
    report = examine(daemons, sockets=sockets, verifies=verifies)
    if as_json:
        rows = [{"section": title, **msgspec.structs.asdict(each)} for title, found in report for each in found]
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    else:
        sys.stdout.write(finding.render(report))
    return int(any(each.grade == WRONG for _, found in report for each in found))


def examine(
    words: Sequence[str], *, sockets: tuple[str, ...] = (), verifies: bool = False
) -> list[tuple[str, list[Finding]]]:
    """Every section's findings; a section that cannot be asked says why. `sockets` come instead of the file's."""
    options, first = _configuration(words)
    options = msgspec.structs.replace(options, hosts=sockets or options.hosts)
    sections = [*SECTIONS, ("Blobs", storage.verify_blobs)] if verifies else SECTIONS
    return [("Configuration", [first]), *((title, _ask(look, options)) for title, look in sections)]


def _configuration(words: Sequence[str]) -> tuple[Config, Finding]:
    try:
        options, _ = config.load(words)
    except InvalidArgument as error:
        return config.load(["--config-file=/dev/null"])[0], wrong(error.message, "mend it; holdfastd --validate looks")
    return options, good(f"{options.config_file}, data root {options.data_root}")


def _ask(look: Callable[[Config], Iterable[Finding]], options: Config) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(look(options))
    except (HoldfastError, OSError) as error:
        found.append(wrong(f"cannot be looked at: {error}", "sudo hold doctor"))
    return found


if __name__ == "__main__":
    sys.exit(main())
