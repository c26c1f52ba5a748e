# SPDX-License-Identifier: Apache-2.0
"""`docker top`: the container's processes as `ps` would show them, read from /proc (the daemon starts no `ps`).

Understands `-e`, `-f`, `ax`, `u` and their kind, `-o LIST` with the usual columns, and `--sort LIST`. Called by `api.routes.containers`.
Source: proc(5), ps(1), Engine API v1.51 ContainerTop.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from holdfast.engine import surroundings
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, InvalidArgument
from holdfast.runtime import cgroups

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One line of /proc/PID/stat with what ps makes of it; times in seconds."""

    pid: int
    parent: int
    uid: int
    state: str
    terminal: str
    cpu_seconds: float
    start_seconds: float
    age_seconds: float
    virtual_bytes: int
    resident_bytes: int
    nice: int
    threads: int
    name: str
    command: str
    memory_share: float

    @property
    def user(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def cpu_share(self) -> float:
        return 100 * self.cpu_seconds / self.age_seconds if self.age_seconds > 0 else 0.0


Column = tuple[str, Callable[[Process], str]]

_COLUMNS: dict[str, Column] = {
    "user": ("USER", lambda p: p.user),
    "uid": ("UID", lambda p: str(p.uid)),
    "pid": ("PID", lambda p: str(p.pid)),
    "ppid": ("PPID", lambda p: str(p.parent)),
    "c": ("C", lambda p: str(int(p.cpu_share))),
    "pcpu": ("%CPU", lambda p: f"{p.cpu_share:.1f}"),
    "pmem": ("%MEM", lambda p: f"{p.memory_share:.1f}"),
    "vsz": ("VSZ", lambda p: str(p.virtual_bytes // 1024)),
    "rss": ("RSS", lambda p: str(p.resident_bytes // 1024)),
    "tty": ("TTY", lambda p: p.terminal),
    "stat": ("STAT", lambda p: p.state),
    "s": ("S", lambda p: p.state[:1]),
    "stime": ("STIME", lambda p: _start_text(p)),
    "start": ("START", lambda p: _start_text(p)),
    "time": ("TIME", lambda p: _clock(p.cpu_seconds)),
    "bsdtime": ("TIME", lambda p: f"{int(p.cpu_seconds) // 60}:{int(p.cpu_seconds) % 60:02}"),
    "etime": ("ELAPSED", lambda p: _elapsed(p.age_seconds)),
    "comm": ("COMMAND", lambda p: p.name),
    "args": ("COMMAND", lambda p: p.command),
    "cmd": ("CMD", lambda p: p.command),
    "ni": ("NI", lambda p: str(p.nice)),
    "nlwp": ("NLWP", lambda p: str(p.threads)),
}
_ALIASES = {
    "command": "args",
    "ucmd": "comm",
    "%cpu": "pcpu",
    "%mem": "pmem",
    "euser": "user",
    "uname": "user",
    "euid": "uid",
    "tt": "tty",
    "tname": "tty",
    "state": "s",
    "vsize": "vsz",
    "rssize": "rss",
    "cputime": "time",
    "start_time": "stime",
    "nice": "ni",
}
_FULL = ["user", "pid", "ppid", "c", "stime", "tty", "time", "cmd"]
_BSD = ["user", "pid", "pcpu", "pmem", "vsz", "rss", "tty", "stat", "start", "bsdtime", "args"]
_ALL = ["pid", "tty", "stat", "bsdtime", "args"]
_FEW = ["pid", "tty", "time"]
_NUMBERS: dict[str, Callable[[Process], str | float]] = {
    "pid": lambda p: p.pid,
    "ppid": lambda p: p.parent,
    "uid": lambda p: p.uid,
    "c": lambda p: p.cpu_share,
    "pcpu": lambda p: p.cpu_share,
    "pmem": lambda p: p.memory_share,
    "vsz": lambda p: p.virtual_bytes,
    "rss": lambda p: p.resident_bytes,
    "stime": lambda p: p.start_seconds,
    "start": lambda p: p.start_seconds,
    "time": lambda p: p.cpu_seconds,
    "bsdtime": lambda p: p.cpu_seconds,
    "etime": lambda p: p.age_seconds,
    "ni": lambda p: p.nice,
    "nlwp": lambda p: p.threads,
}
"""What is sorted by its number, not by what is shown of it."""
_SORTING = ("--sort", "-k", "k")
_TAKING = (*_SORTING, "-eo", "-Ao", "-axo", "-o", "axo", "o")
_LETTERS = re.compile(r"-[eAfFwax]+|-?[auxwf]+")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the arguments of ps ask for: columns, and by what to sort, the first key first."""

    columns: list[Column]
    order: list[tuple[Callable[[Process], str | float], bool]]


@dataclass(frozen=True, slots=True)
class Table:
    """Titles, and a row per process."""

    titles: list[str]
    rows: list[list[str]]


async def top(*, packages: Packages, reference: str, arguments: str) -> Table:
    """The table for `ps` arguments; Conflict unless it runs, InvalidArgument for other arguments."""
    container = packages.containers.find(reference)
    if not container.state.has_process:
        raise Conflict(f"container {container.id} is not running")
    group = surroundings.cgroup_path(packages, container.record)
    found = await asyncio.to_thread(lambda: table(cgroups.detect().open(group).pids(), arguments))
    packages.events.publish("container", "top", container.id, container.attributes())
    return found


def table(pids: Iterable[int], arguments: str) -> Table:
    """The table of some processes, by number; one that has just ended is left out. InvalidArgument for the arguments."""
    wish = choose(arguments)
    processes = [found for pid in sorted(pids) if (found := _read(pid)) is not None]
    for key, is_reversed in reversed(wish.order):
        processes.sort(key=key, reverse=is_reversed)
    return Table([title for title, _ in wish.columns], [[show(each) for _, show in wish.columns] for each in processes])


def choose(arguments: str) -> Wish:
    """The columns and the order that the arguments ask for."""
    names: list[str] = []
    sorting: list[str] = []
    letters = ""
    rest = arguments.split()
    is_full = not rest
    while rest:
        word = rest.pop(0)
        option = next((each for each in _TAKING if word.startswith(each)), None)
        if option is not None:
            value = word[len(option) :].removeprefix("=") or (rest.pop(0) if rest else "")
            (sorting if option in _SORTING else names).extend(name for name in value.split(",") if name)
            if not value or (option not in _SORTING and not names):
                raise InvalidArgument("ps: error: improper list")
        elif _LETTERS.fullmatch(word):
            letters += word
            is_full = is_full or (word.startswith("-") and "f" in word.lower() and "u" not in word)
        elif word != "--forest":
            raise InvalidArgument(f"ps: error: unsupported option {word}: use -ef, aux or -o with column names")
    columns = _named(names) if names else _ready(letters, is_full=is_full)
    if "PID" not in [title for title, _ in columns]:
        raise InvalidArgument("Couldn't find PID field in ps output")
    return Wish(columns, [_sorted_by(key) for key in sorting])


def _ready(letters: str, *, is_full: bool) -> list[Column]:
    """The columns of `-f`, of `u`, of `x`, or the few that there are without them."""
    if is_full:
        return [("UID", _COLUMNS["user"][1]), *(_COLUMNS[name] for name in _FULL[1:])]
    if "u" in letters:
        return [_COLUMNS[name] for name in _BSD]
    if "x" in letters:
        return [_COLUMNS[name] for name in _ALL]
    return [*(_COLUMNS[name] for name in _FEW), ("CMD", _COLUMNS["comm"][1])]


def _named(names: Iterable[str]) -> list[Column]:
    columns: list[Column] = []
    for name in names:
        bare, equals, title = name.partition("=")
        known = _COLUMNS.get(_ALIASES.get(bare, bare))
        if known is None:
            raise InvalidArgument(f'ps: error: unknown user-defined format specifier "{bare}"')
        columns.append((title, known[1]) if equals else known)
    return columns


def _sorted_by(text: str) -> tuple[Callable[[Process], str | float], bool]:
    """What `[+|-]COLUMN` sorts by, and whether the greatest is first."""
    bare = text.lstrip("+-")
    known = _ALIASES.get(bare, bare)
    if known in _NUMBERS:
        return _NUMBERS[known], text.startswith("-")
    if known not in _COLUMNS:
        raise InvalidArgument("ps: error: unknown sort specifier")
    return _COLUMNS[known][1], text.startswith("-")


def _read(pid: int) -> Process | None:
    """One process; None when it has just ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
            uid = os.fstat(file.fileno()).st_uid
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command_line = file.read(8192)
    except OSError:
        return None
    head, _, tail = data.rpartition(b")")
    fields = tail.split()
    name = head.partition(b"(")[2].decode("utf-8", "replace")
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    started = int(fields[19]) / _TICKS
    resident = int(fields[21]) * _PAGE
    text = command_line.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    return Process(
        pid=pid,
        parent=int(fields[1]),
        uid=uid,
        state=_state(pid, fields),
        terminal=_terminal(int(fields[4])),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
        start_seconds=time.time() - (uptime - started),
        age_seconds=uptime - started,
        virtual_bytes=int(fields[20]),
        resident_bytes=resident,
        nice=int(fields[16]),
        threads=int(fields[17]),
        name=name,
        command=text or f"[{name}]",
        memory_share=100 * resident / (os.sysconf("SC_PHYS_PAGES") * _PAGE),
    )


def _state(pid: int, fields: Sequence[bytes]) -> str:
    """The letter, and ps's signs for: nice, a session's leader, threads, in the foreground of its terminal."""
    group, session, foreground, nice, threads = (int(fields[place]) for place in (2, 3, 5, 16, 17))
    signs = ((nice < 0, "<"), (nice > 0, "N"), (session == pid, "s"), (threads > 1, "l"), (foreground == group, "+"))
    return fields[0].decode() + "".join(sign for is_so, sign in signs if is_so)


def _terminal(number: int) -> str:
    if not number:
        return "?"
    major, minor = os.major(number), os.minor(number)
    return f"pts/{minor}" if 136 <= major <= 143 else f"tty{minor}"


def _start_text(process: Process) -> str:
    pattern = "%H:%M" if process.age_seconds < 86400 else "%b%d"
    return time.strftime(pattern, time.localtime(process.start_seconds))


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _elapsed(seconds: float) -> str:
    whole = int(seconds)
    minutes = f"{whole // 60 % 60:02}:{whole % 60:02}"
    if whole < 3600:
        return minutes
    hours = f"{whole // 3600 % 24:02}:{minutes}"
    return hours if whole < 86400 else f"{whole // 86400}-{hours}"
