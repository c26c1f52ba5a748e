# SPDX-License-Identifier: Apache-2.0
"""holdfastd: from the command line to a serving daemon.

Order matters: options, then the process (descriptors, roots, lock), then sockets, and only then the loop. Nothing here
forks. `daemon.service` is the loop's part.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from holdfast.api.facts import VERSION
from holdfast.daemon import config, flags, lifetime
from holdfast.errors import HoldfastError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the daemon until a signal ends it; the exit status."""
    try:
        options, given = config.load(sys.argv[1:] if arguments is None else arguments)
    except HoldfastError as error:
        sys.stderr.write(f"{error.message}\nSee 'holdfastd --help'.\n")
        return 1
    if given.get("help"):
        sys.stdout.write(flags.usage())
    elif given.get("version"):
        sys.stdout.write(f"Holdfast version {VERSION}\n")
    elif given.get("validate"):
        sys.stderr.write("configuration OK\n")
    else:
        return _run(options, given)
    return 0


def _run(options: config.Config, given: Mapping[str, object]) -> int:
    try:
        if os.geteuid() != 0:
            raise HoldfastError("holdfastd needs to run as root")
        lifetime.close_inherited()
        os.chdir("/")
        os.umask(0o022)
        lifetime.make_roots(options.data_root, options.exec_root)
        lock = lifetime.DataRootLock(options.data_root)
        lifetime.write_pidfile(options.pidfile)
    except (HoldfastError, OSError) as error:
        sys.stderr.write(f"failed to start daemon: {error}\n")
        return 1
    from holdfast.daemon import service  # the loop and the packages: 100 ms that --help does not need

    try:
        return service.run(options, given)
    finally:
        lifetime.remove_pidfile(options.pidfile)
        lock.release()


if __name__ == "__main__":
    sys.exit(main())
