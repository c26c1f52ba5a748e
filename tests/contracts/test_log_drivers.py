# SPDX-License-Identifier: Apache-2.0
"""What every log driver promises, whatever it speaks: order, streams, long lines, options, and never to wait."""

import gc
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest
from collectors import (
    Collector,
    Said,
    read_fluentd,
    read_gelf,
    read_journal,
    read_syslog,
    split_lines,
    split_msgpack,
    split_zeros,
    unix_path,
    unpack,
    wait_for,
)
from log_target import target

from holdfast import errors
from holdfast.kernel.loop import Loop
from holdfast.logs import courier, factory, reader
from holdfast.logs.driver import Target, Writer
from holdfast.logs.drivers import journald, local
from holdfast.logs.formats import JSON_LINES, RECORDS

NOW = 1_700_000_000_123_456_789
LIMIT = 16 * 1024


def _acknowledge(message: bytes) -> bytes:
    *_, option = cast("list[dict[bytes, bytes]]", unpack(message))
    return b"\x81\xa3ack\xb8" + option[b"chunk"]


class Way:
    """One driver with one transport: how to open it, how to hear what it said."""

    def __init__(self, driver: str, kind: str, folder: Path, **options: str) -> None:
        self.driver, self.kind, self.folder, self.options = driver, kind, folder, options
        self.collector: Collector | None = None
        self.is_lossy = kind in ("udp", "unixgram")

    def listen(self, *, is_stalled: bool = False, address: object = None) -> None:
        """Starts the collector."""
        splits = {"syslog": split_lines, "gelf": split_zeros, "fluentd": split_msgpack}
        place = address or (unix_path(self.folder) if self.kind in ("unix", "unixgram") else None)
        answer = _acknowledge if self.options.get("fluentd-request-ack") else None
        self.collector = Collector(
            self.kind, place, split=splits.get(self.driver), answer=answer, is_stalled=is_stalled
        )

    def target(self, **more: str) -> Target:
        """What the shim would be told; the collector must have listened once, to have an address."""
        options = {**self.options, **more}
        if self.collector is not None and self.driver != "journald":
            where = self.collector.address
            url = f"{self.kind}://{where}" if isinstance(where, str) else f"{self.kind}://{where[0]}:{where[1]}"
            options[f"{self.driver}-address"] = url
        path = self.folder / "local-logs" / "x.log" if self.driver == "local" else self.folder / "x.log"
        is_cached = self.driver not in ("local", "json-file")
        return target(self.driver, path, options, cache_path=self.folder / "cache.log" if is_cached else "")

    def open(self, **more: str) -> Writer:
        """Opens the writer as the shim does."""
        given = self.target(**more)
        if self.driver != "journald":
            return factory.open_writer(given)
        path = unix_path(self.folder)
        module = SimpleNamespace(
            check=journald.check, open_sink=lambda target, lease: journald.JournaldSink(target, lease, path)
        )
        return courier.open_writer(cast("ModuleType", module), given, local.open_cache)

    def said(self) -> list[Said]:
        """What has arrived, without newlines."""
        if self.collector is None:
            return []
        read = {"syslog": read_syslog, "gelf": read_gelf, "fluentd": read_fluentd, "journald": read_journal}
        return list(read[self.driver](list(self.collector.messages)))

    async def kept(self) -> list[Said]:
        """What `docker logs` reads."""
        given = self.target()
        form = JSON_LINES if self.driver == "json-file" else RECORDS
        path = given["cache_path"] or given["path"]
        return [said async for said in reader.read(path, form=form)]


WAYS: dict[str, Callable[[Path], Way]] = {
    "json-file": lambda folder: Way("json-file", "", folder),
    "local": lambda folder: Way("local", "", folder),
    "syslog-udp": lambda folder: Way("syslog", "udp", folder),
    "syslog-tcp": lambda folder: Way("syslog", "tcp", folder, **{"syslog-format": "rfc5424micro"}),
    "syslog-unix": lambda folder: Way("syslog", "unix", folder, **{"syslog-format": "rfc3164"}),
    "syslog-unixgram": lambda folder: Way("syslog", "unixgram", folder, **{"syslog-format": "rfc5424"}),
    "gelf-udp": lambda folder: Way("gelf", "udp", folder),
    "gelf-tcp": lambda folder: Way("gelf", "tcp", folder, **{"gelf-tcp-reconnect-delay": "1"}),
    "fluentd-tcp": lambda folder: Way("fluentd", "tcp", folder, **{"fluentd-retry-wait": "100ms"}),
    "fluentd-ack": lambda folder: Way("fluentd", "tcp", folder, **{"fluentd-request-ack": "true"}),
    "fluentd-unix": lambda folder: Way("fluentd", "unix", folder, **{"fluentd-sub-second-precision": "true"}),
    "journald": lambda folder: Way("journald", "unixgram", folder),
}
REMOTE = [name for name in WAYS if name not in ("json-file", "local")]
STREAMS = ["syslog-tcp", "syslog-unix", "gelf-tcp", "fluentd-tcp", "fluentd-unix"]


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Loops and writers know each other: their descriptors are closed here, not in the middle of another test."""
    yield
    gc.collect()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="hl") as name:
        yield Path(name)


@pytest.fixture
def way(request: pytest.FixtureRequest, folder: Path) -> Iterator[Way]:
    way = WAYS[request.param](folder)
    if way.kind:
        way.listen()
    yield way
    if way.collector is not None:
        way.collector.stop()


def _turn(loop: Loop, seconds: float = 0.02) -> None:
    loop.call_later(seconds, loop.stop)
    loop.run()


def _finish(loop: Loop, writer: Writer, now: int = NOW) -> None:
    writer.close(now)
    while writer.is_busy:
        _turn(loop)
    writer.close(now)


@pytest.mark.parametrize("way", WAYS, indirect=True)
async def test_everything_arrives_in_order_with_its_stream_and_can_be_read(way: Way):
    loop = Loop()
    writer = way.open()
    writer.watch(loop, lambda: None)

    for number in range(300):
        writer.write(1, b"out %d\n" % number, NOW)
        writer.write(2, b"err %d\nmore" % number, NOW)
        writer.write(2, b" of %d\n" % number, NOW)
    _finish(loop, writer)

    outs = [b"out %d" % number for number in range(300)]
    errs = [text for number in range(300) for text in (b"err %d" % number, b"more of %d" % number)]
    if way.collector is not None:
        wait_for(lambda: len(way.said()) >= 900)
        assert [text for stream, text in way.said() if stream == 1] == outs
        assert [text for stream, text in way.said() if stream == 2] == errs
    kept = await way.kept()
    assert [text for stream, text in kept if stream == 1] == [text + b"\n" for text in outs]
    assert [text for stream, text in kept if stream == 2] == [text + b"\n" for text in errs]


@pytest.mark.parametrize("way", WAYS, indirect=True)
async def test_a_long_line_is_cut_at_16_kib_and_an_unfinished_one_is_told_at_the_end(way: Way):
    loop = Loop()
    writer = way.open()
    writer.watch(loop, lambda: None)

    writer.write(1, b"y" * (LIMIT + 5) + b"\nend", NOW)
    _finish(loop, writer)

    pieces = [b"y" * LIMIT, b"yyyyy", b"end"]
    if way.collector is not None:
        wait_for(lambda: len(way.said()) >= 3)
        assert [text for _, text in way.said()] == pieces
    assert [text for _, text in await way.kept()] == [pieces[0], b"yyyyy\n", b"end"]


@pytest.mark.parametrize("way", WAYS, indirect=True)
async def test_binary_output_is_kept_or_marked(way: Way):
    loop = Loop()
    writer = way.open()
    writer.watch(loop, lambda: None)
    data = b"\x00\x1b[0m <&> \xff\xfe \xc3\xa9 \r?"

    writer.write(1, data + b"\n", NOW)
    _finish(loop, writer)

    marked = "\x00\x1b[0m <&> \ufffd\ufffd é \r?".encode()
    if way.collector is not None:
        wait_for(lambda: bool(way.said()))
        assert way.said() == [(1, marked if way.driver == "gelf" else data)]
    assert await way.kept() == [(1, (marked if way.driver == "json-file" else data) + b"\n")]


@pytest.mark.parametrize("driver", factory.NAMES)
def test_an_option_that_does_not_exist_is_named(driver: str):
    address = {"gelf-address": "udp://127.0.0.1:1"} if driver == "gelf" else {}

    with pytest.raises(errors.InvalidArgument) as refusal:
        factory.check(driver, {**address, "nosuch": "1"})

    wordings = {
        "local": "unknown log opt 'nosuch' for log driver local",
        "gelf": 'unknown log opt "nosuch" for gelf log driver',
    }
    assert refusal.value.message == wordings.get(driver, f"unknown log opt 'nosuch' for {driver} log driver")


@pytest.mark.parametrize("driver", factory.NAMES)
def test_common_options_are_taken_by_every_driver(driver: str):
    address = {"gelf-address": "udp://127.0.0.1:1"} if driver == "gelf" else {}

    factory.check(
        driver,
        {
            **address,
            "mode": "non-blocking",
            "max-buffer-size": "4m",
            "labels": "a,b",
            "labels-regex": "^x",
            "env": "A",
            "env-regex": "B",
            "tag": "{{.Name}}",
            "cache-disabled": "true",
            "cache-max-size": "1m",
        },
    )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"mode": "fast"}, "logger: logging mode not supported: fast"),
        ({"max-buffer-size": "1m"}, "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
        (
            {"mode": "non-blocking", "max-buffer-size": "much"},
            "error parsing option max-buffer-size: invalid size: 'much'",
        ),
        ({"cache-disabled": "perhaps"}, "invalid value for option cache-disabled: perhaps"),
    ],
)
def test_the_common_values_are_looked_at_for_every_driver(options: dict[str, str], complaint: str):
    with pytest.raises(errors.InvalidArgument) as refusal:
        factory.check("json-file", options)

    assert refusal.value.message == complaint


@pytest.mark.parametrize("way", ["syslog-tcp", "gelf-tcp", "fluentd-tcp", "syslog-unix", "journald"], indirect=True)
def test_a_collector_that_is_not_there_is_told_at_the_start(way: Way):
    given = way.target()
    assert way.collector is not None
    way.collector.stop()
    way.collector = None
    if way.driver == "journald":
        expected = "journald is not enabled on this host"
    elif way.kind == "unix":
        expected = "no such file or directory"
    else:
        expected = "connect: connection refused"

    with pytest.raises((errors.Unavailable, errors.InvalidArgument)) as refusal:
        way.open() if way.driver == "journald" else factory.open_writer(given)

    assert expected in refusal.value.message


@pytest.mark.parametrize("name", STREAMS)
def test_a_stalled_collector_makes_the_container_wait_and_nothing_is_lost(name: str, folder: Path):
    way = WAYS[name](folder)
    way.listen(is_stalled=True)
    loop = Loop()
    writer = way.open()
    rooms: list[bool] = []
    writer.watch(loop, lambda: rooms.append(True))
    assert way.collector is not None

    piece = b"".join(b"%05d %s\n" % (number, b"x" * 90) for number in range(600))
    slowest = rounds = 0.0
    while not writer.is_full and rounds < 600:
        began = time.monotonic()
        writer.write(1, piece, NOW)
        slowest = max(slowest, time.monotonic() - began)
        rounds += 1
        _turn(loop, 0.001)

    assert writer.is_full
    assert slowest < 1.0
    assert not rooms or not writer.is_full or rounds < 600
    writer.close(NOW)
    way.collector.stop()


@pytest.mark.parametrize("name", STREAMS)
def test_without_blocking_a_stalled_collector_costs_no_more_than_the_buffer(name: str, folder: Path):
    way = WAYS[name](folder)
    way.listen(is_stalled=True)
    loop = Loop()
    writer = way.open(mode="non-blocking", **{"max-buffer-size": "256k"})
    writer.watch(loop, lambda: None)
    assert way.collector is not None

    piece = b"".join(b"%05d %s\n" % (number, b"x" * 90) for number in range(600))
    for _ in range(200):
        writer.write(1, piece, NOW)
        assert not writer.is_full
    waiting = len(writer._pending)  # type: ignore[attr-defined]

    assert 0 < waiting < 400 * 1024
    writer.close(NOW)
    way.collector.stop()


@pytest.mark.parametrize("way", REMOTE, indirect=True)
def test_a_collector_that_comes_back_hears_what_is_said_then(way: Way):
    loop = Loop()
    writer = way.open()
    writer.watch(loop, lambda: None)
    writer.write(1, b"before\n", NOW)
    wait_for(lambda: (1, b"before") in way.said())
    assert way.collector is not None
    address = way.collector.address
    way.collector.stop()
    time.sleep(0.05)

    writer.write(1, b"while away\n", NOW)
    way.listen(address=address)
    number = 0

    def has_come_back() -> bool:
        nonlocal number
        number += 1
        writer.write(1, b"after %d\n" % number, NOW)
        _turn(loop)
        return any(text.startswith(b"after") for _, text in way.said())

    wait_for(has_come_back, 15)
    _finish(loop, writer)
    if way.driver == "fluentd":
        assert (1, b"while away") in way.said()


def test_a_courier_that_is_killed_is_replaced(folder: Path):
    way = WAYS["syslog-tcp"](folder)
    way.listen()
    loop = Loop()
    writer = way.open()
    writer.watch(loop, lambda: None)
    writer.write(1, b"one\n", NOW)
    wait_for(lambda: bool(way.said()))
    mine = Path(f"/proc/{subprocess.os.getpid()}/task/{subprocess.os.getpid()}/children").read_text().split()
    courier_pid = next(pid for pid in mine if Path(f"/proc/{pid}/comm").read_text() == "hold-courier\n")

    subprocess.os.kill(int(courier_pid), 9)
    deadline = time.monotonic() + 8
    while (1, b"two") not in way.said():
        assert time.monotonic() < deadline
        _turn(loop, 0.2)
        if not writer.is_full:
            writer.write(1, b"two\n", NOW)

    _finish(loop, writer)
    assert way.collector is not None
    way.collector.stop()
