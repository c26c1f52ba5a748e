# SPDX-License-Identifier: Apache-2.0
"""Signals, detach keys, ports, restart policies: small languages of Docker's."""

from __future__ import annotations

import pytest

from holdfast.containers import detach_keys, ports, restart_policy, signals
from holdfast.containers.config import PortBinding, RestartPolicy
from holdfast.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "number"),
    [("9", 9), ("KILL", 9), ("SIGKILL", 9), ("sigterm", 15), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("64", 64)],
)
def test_signals_by_number_and_name(text: str, number: int) -> None:
    assert signals.parse(text) == number


@pytest.mark.parametrize("text", ["0", "65", "FOO", "", "SIG", "-9", "9 ", "٩"])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid signal: |does not support signal "):
        signals.parse(text)


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", b"\x10\x11"), ("ctrl-p,ctrl-q", b"\x10\x11"), ("a,b", b"ab"), ("ctrl-[", b"\x1b"), ("ctrl-@,x", b"\0x")],
)
def test_detach_keys(text: str, keys: bytes) -> None:
    assert detach_keys.parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-pp", "xy", "a,,b", "ctrl-é"])
def test_wrong_detach_keys_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        detach_keys.parse(text)


def test_ports_and_ranges() -> None:
    assert ports.parse("80") == (80, "tcp")
    assert ports.parse("53/UDP") == (53, "udp")
    assert ports.parse_range("") == (0, 0)
    assert ports.parse_range("8000-8010") == (8000, 8010)
    assert list(ports.iter_exposed({"80/tcp": {}, "90-91/udp": {}})) == [(80, "tcp"), (90, "udp"), (91, "udp")]
    assert list(ports.iter_exposed({"80/tcp": {}, "443": {}, "80": {}, "79-80": {}})) == [
        (80, "tcp"),
        (443, "tcp"),
        (79, "tcp"),
    ]
    ports.check({"80/tcp": {}}, {"80/tcp": [PortBinding(host_ip="127.0.0.1", host_port="8080")], "90": None})


@pytest.mark.parametrize("text", ["99999", "-1", "a", "9-8", "80-", "８０"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid port specification"):
        ports.check(None, {"80/tcp": [PortBinding(host_port=text)]})


def test_wrong_protocols_and_addresses_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="invalid proto: foo"):
        ports.check({"80/foo": {}}, None)
    with pytest.raises(InvalidArgument, match="invalid host ip"):
        ports.check(None, {"80/tcp": [PortBinding(host_ip="nope")]})
    with pytest.raises(InvalidArgument, match="invalid port specification"):
        ports.check({"/tcp": {}}, None)


@pytest.mark.parametrize(
    ("name", "limit", "code", "count", "stopped", "wanted"),
    [
        ("no", 0, 1, 0, False, False),
        ("always", 0, 0, 99, False, True),
        ("always", 0, 0, 0, True, False),
        ("unless-stopped", 0, 137, 0, False, True),
        ("on-failure", 0, 0, 0, False, False),
        ("on-failure", 0, 1, 1000, False, True),
        ("on-failure", 2, 1, 1, False, True),
        ("on-failure", 2, 1, 2, False, False),
    ],
)
def test_restart_policies(name: str, limit: int, code: int, count: int, stopped: bool, wanted: bool) -> None:
    policy = RestartPolicy(name=name, maximum_retry_count=limit)

    assert restart_policy.wants_restart(policy, exit_code=code, count=count, was_stopped_by_user=stopped) is wanted


def test_the_delay_doubles_to_a_minute_and_starts_again_after_ten_good_seconds() -> None:
    delays: list[float] = []
    fast = 0
    for _ in range(12):
        delay, fast = restart_policy.next_delay(fast, 10**9)
        delays.append(delay)

    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == 60.0
    assert restart_policy.next_delay(fast, 11 * 10**9) == (0.1, 1)


@pytest.mark.parametrize(
    ("name", "code", "count", "stopped", "wanted"),
    [
        ("always", 0, 0, True, True),
        ("unless-stopped", 0, 0, True, False),
        ("unless-stopped", 0, 0, False, True),
        ("on-failure", 255, 0, False, True),
        ("on-failure", 0, 0, False, False),
        ("on-failure", 1, 3, False, False),
        ("on-failure", 1, 2, False, True),
        ("on-failure", 137, 0, True, False),
        ("no", 1, 0, False, False),
    ],
)
def test_policies_at_the_daemons_start(name: str, code: int, count: int, stopped: bool, wanted: bool) -> None:
    policy = RestartPolicy(name=name, maximum_retry_count=3)

    starts = restart_policy.wants_start_with_daemon(policy, exit_code=code, count=count, was_stopped_by_user=stopped)

    assert starts is wanted
