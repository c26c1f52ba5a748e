# SPDX-License-Identifier: Apache-2.0
"""The same `docker run --log-driver` on dockerd and on Holdfast, against the same kind of collector: what arrives."""

import ctypes
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from collectors import (
    Collector,
    gelf_documents,
    split_lines,
    split_msgpack,
    split_zeros,
    unpack,
    wait_for,
)
from compat_case import Case, Daemon, compare

_CLONE_NEWNET = 0x40000000
_LONG = "head -c 16500 /dev/zero | tr '\\\\0' x; echo"
SCRIPT = f"echo one; echo; printf 'bin\\\\377\\\\001 <&> \\\\303\\\\251\\\\n'; {_LONG}; echo oops >&2; printf 'no end'"
RUN = (
    "docker run --rm --name {name} --hostname box --label app=shop --label tier=web -e STAGE=prod -e OTHER=1"
    ' {options} busybox:1.37.0-musl sh -c "{script}" > /dev/null 2>&1; echo $?'
)


@dataclass(frozen=True)
class Wire:
    """How one kind of collector is reached, and what is compared of what it heard."""

    kind: str
    url: str
    options: str
    split: Callable[[bytearray], list[bytes]] | None
    read: Callable[[list[bytes]], list[str]]


def _syslog(messages: list[bytes]) -> list[str]:
    shown: list[str] = []
    for message in messages:
        text = message.decode("utf-8", "backslashreplace")
        text = re.sub(r"\w{3} [ \d]\d \d\d:\d\d:\d\d", "<stamp>", text)
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(Z|[+-]\d\d:\d\d)", r"<time\1>", text)
        text = re.sub(r"<time\.\d{6}>", "<time-micro>", text)
        text = re.sub(r"\[\d+\]: ", "[pid]: ", text)
        text = re.sub(r" \d+ (\S+) - ", r" pid \1 - ", text)
        shown.append(re.sub(r"\b[0-9a-f]{12}\b", "<id>", text))
    return shown


def _gelf(messages: list[bytes]) -> list[str]:
    shown: list[str] = []
    for document in gelf_documents(messages):
        assert abs(float(str(document["timestamp"])) - time.time()) < 60
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", str(document["_created"]))
        document["_tag"] = re.sub(r"^[0-9a-f]{12}$", "<id>", str(document["_tag"]))
        document.update(timestamp=0, _created="", _container_id=len(str(document["_container_id"])))
        shown.append(json.dumps(document, sort_keys=True))
    return shown


def _fluentd(messages: list[bytes]) -> list[str]:
    shown: list[str] = []
    for message in messages:
        tag, moment, record, option = unpack(message)  # type: ignore[misc]
        seconds = moment[0] if isinstance(moment, tuple) else moment
        assert abs(seconds - time.time()) < 60
        record[b"container_id"] = len(record[b"container_id"])
        if b"partial_id" in record:
            record[b"partial_id"] = len(record[b"partial_id"])
        is_id = re.fullmatch(rb"[0-9a-f]{12}", tag) is not None
        shown.append(repr(("<id>" if is_id else tag, isinstance(moment, tuple), sorted(record.items()), option)))
    return shown


FIELDS = "--log-opt labels=app --log-opt labels-regex=^ti --log-opt env=STAGE,NONE --log-opt env-regex=^OTH"
WIRES = {
    "syslog-udp": Wire("udp", "syslog", "--log-opt tag={{.Name}}/{{.ID}}", None, _syslog),
    "syslog-tcp-3164": Wire(
        "tcp", "syslog", "--log-opt syslog-format=rfc3164 --log-opt syslog-facility=local3", split_lines, _syslog
    ),
    "syslog-tcp-5424": Wire("tcp", "syslog", "--log-opt syslog-format=rfc5424", split_lines, _syslog),
    "syslog-unix-micro": Wire(
        "unix", "syslog", "--log-opt syslog-format=rfc5424micro --log-opt syslog-facility=7", split_lines, _syslog
    ),
    "syslog-unixgram": Wire("unixgram", "syslog", "--log-opt tag={{.ImageName}}", None, _syslog),
    "gelf-udp": Wire("udp", "gelf", FIELDS, None, _gelf),
    "gelf-udp-none": Wire("udp", "gelf", "--log-opt gelf-compression-type=none", None, _gelf),
    "gelf-udp-zlib": Wire(
        "udp", "gelf", "--log-opt gelf-compression-type=zlib --log-opt gelf-compression-level=9", None, _gelf
    ),
    "gelf-tcp": Wire("tcp", "gelf", "--log-opt 'tag={{upper .Name}}'", split_zeros, _gelf),
    "fluentd-tcp": Wire("tcp", "fluentd", FIELDS, split_msgpack, _fluentd),
    "fluentd-unix": Wire(
        "unix",
        "fluentd",
        "--log-opt fluentd-sub-second-precision=true --log-opt mode=non-blocking",
        split_msgpack,
        _fluentd,
    ),
}


def _in_netns(name: str, make: Callable[[], Collector]) -> Collector:
    """Makes a collector whose sockets are of another network namespace."""
    made: list[Collector] = []

    def run() -> None:
        with open(f"/run/netns/{name}") as netns:
            assert ctypes.CDLL(None, use_errno=True).setns(netns.fileno(), _CLONE_NEWNET) == 0
        made.append(make())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made[0]


def _heard(daemon: Daemon, wire: Wire, name: str, folder: Path, *, count: int) -> list[str]:
    address = str(folder / daemon.name) if wire.kind in ("unix", "unixgram") else None
    collector = _in_netns(daemon.netns, lambda: Collector(wire.kind, address, split=wire.split))
    where = collector.address
    place = where if isinstance(where, str) else f"{where[0]}:{where[1]}"
    options = f"--log-driver {wire.url} --log-opt {wire.url}-address={wire.kind}://{place} {wire.options}"
    try:
        done = daemon.sh(RUN.format(name=name, options=options, script=SCRIPT))
        assert done.stdout == "0\n", done.stdout + done.stderr
        wait_for(lambda: len(wire.read(list(collector.messages))) >= count)
        return sorted(wire.read(list(collector.messages)))
    finally:
        collector.stop()


@pytest.mark.parametrize("name", WIRES)
def test_a_collector_hears_the_same(name: str, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path):
    wire = WIRES[name]
    count = 7 if wire.url == "fluentd" else 6  # only fluentd is told of empty lines

    theirs = _heard(dockerd, wire, f"logs-{name}", tmp_path, count=count)
    ours = _heard(holdfastd, wire, f"logs-{name}", tmp_path, count=count)

    assert ours == theirs
    assert len(ours) == count


REFUSED = [
    "--log-driver local --log-opt x=1",
    "--log-driver local --log-opt max-file=1",
    "--log-driver local --log-opt max-size=-1",
    "--log-driver local --log-opt compress=x",
    "--log-opt mode=x",
    "--log-opt max-buffer-size=1m",
    "--log-opt mode=non-blocking --log-opt max-buffer-size=x",
    "--log-opt cache-disabled=perhaps",
    "--log-opt tag={{.Nope}}",
    "--log-opt tag={{.Name",
    "--log-driver syslog --log-opt syslog-address=foo://x",
    "--log-driver syslog --log-opt syslog-facility=x",
    "--log-driver syslog --log-opt syslog-format=x",
    "--log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:1",
    "--log-driver syslog --log-opt syslog-address=unix:///no/such",
    "--log-driver gelf",
    "--log-driver gelf --log-opt gelf-address=udp://127.0.0.1",
    "--log-driver gelf --log-opt gelf-address=http://127.0.0.1:1",
    "--log-driver gelf --log-opt gelf-address=tcp://127.0.0.1:1",
    "--log-driver gelf --log-opt gelf-address=tcp://127.0.0.1:1 --log-opt gelf-compression-type=gzip",
    "--log-driver gelf --log-opt gelf-address=udp://127.0.0.1:1 --log-opt gelf-compression-level=10",
    "--log-driver gelf --log-opt gelf-address=udp://127.0.0.1:1 --log-opt gelf-tcp-max-reconnect=1",
    "--log-driver fluentd",
    "--log-driver fluentd --log-opt fluentd-address=x:y",
    "--log-driver fluentd --log-opt fluentd-address=unix:///",
    "--log-driver fluentd --log-opt fluentd-retry-wait=5",
    "--log-driver fluentd --log-opt fluentd-async=x",
    "--log-driver fluentd --log-opt fluentd-async-reconnect-interval=1ms",
    "--log-driver fluentd --log-opt fluentd-max-retries=-1",
    "--log-driver fluentd --log-opt fluentd-nosuch=1",
    "--log-driver journald",
    "--log-driver journald --log-opt x=1",
    "--log-driver nosuch",
]


def test_the_same_options_are_refused_in_the_same_words(dockerd: Daemon, holdfastd: Daemon, tmp_path: Path):
    script = "\n".join(f"docker run --rm {options} busybox:1.37.0-musl true 2>&1 | sed -n 1p" for options in REFUSED)

    compare(Case("refused-log-options", script), dockerd, holdfastd, tmp_path)


_READS = """
docker run --name {name} --label app=shop {options} busybox:1.37.0-musl sh -c 'echo one; sleep .2; echo two >&2; sleep 1.1; echo three; sleep .2; printf four' > /dev/null 2>&1
for how in "" "-t" "--details" "--tail 2" "--tail 0" "--tail 1 -t --details" "--since 1h" "--until 1h" "-f" "-f --tail 1"; do
    echo "== $how"; docker logs $how {name} > out 2> err; cat out; echo; echo -; cat err
done
docker inspect -f '{{{{.HostConfig.LogConfig}}}} {{{{if .LogPath}}}}path{{{{end}}}}' {name}
docker rm {name} > /dev/null
"""


@pytest.mark.parametrize(
    "options",
    [
        "--log-opt labels=app --log-opt tag={{.Name}}",
        "--log-driver local",
        "--log-driver local --log-opt max-size=100 --log-opt max-file=9",
        "--log-driver syslog --log-opt syslog-address=udp://127.0.0.1:5",
        "--log-driver fluentd --log-opt fluentd-async=true --log-opt cache-disabled=true",
        "--log-driver none",
        "--log-opt mode=non-blocking",
    ],
)
def test_logs_are_read_back_alike(options: str, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path):
    script = _READS.format(name="logs-read", options=options)

    compare(Case("read-back", script), dockerd, holdfastd, tmp_path)
