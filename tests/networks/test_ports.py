# SPDX-License-Identifier: Apache-2.0
import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import errors
from holdfast.networks import ports
from holdfast.networks.values import BoundPort, PortBinding


class Held:
    def __init__(self, log, key):
        self._log, self._key = log, key

    def close(self):
        self._log.remove(self._key)


class Binder:
    """Stands in for the kernel: `foreign` ports are taken by others."""

    def __init__(self, *foreign):
        self.foreign, self.held = set(foreign), []

    def __call__(self, protocol, host_ip, port):
        if port in self.foreign:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        if host_ip == "9.9.9.9":
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        self.held.append((protocol, host_ip, port))
        return Held(self.held, (protocol, host_ip, port))


def reserve(allocator, *bindings):
    """Takes every wish on all addresses, or none."""
    bound = []
    try:
        for each in bindings:
            bound += allocator.reserve(
                each, host_ips=[each.host_ip or "0.0.0.0"], container_ip="172.17.0.2", endpoint="web (id)"
            )
    except BaseException:
        allocator.release(bound)
        raise
    return tuple(bound)


def wish(start=0, end=0, host_ip="", protocol="tcp"):
    return PortBinding(container_port=80, protocol=protocol, host_ip=host_ip, host_port_start=start, host_port_end=end)


def numbers(bound):
    return [port.host_port for port in bound]


def test_range_gives_its_first_free_port():
    allocator = ports.PortAllocator(ephemeral=range(100, 110), bind=Binder(8081))

    assert numbers(reserve(allocator, wish(8080, 8083), wish(8080, 8083), wish(8080, 8083))) == [8080, 8082, 8083]
    with pytest.raises(errors.Exhausted, match=r"Bind for 0.0.0.0:8083 failed: port is already allocated"):
        reserve(allocator, wish(8080, 8083))


def test_ephemeral_ports_go_round():
    binder = Binder(102)
    allocator = ports.PortAllocator(ephemeral=range(100, 104), bind=binder)

    first = reserve(allocator, wish())
    assert numbers(first) == [100]
    allocator.release(first)
    assert numbers(reserve(allocator, wish(), wish(), wish())) == [101, 103, 100]
    with pytest.raises(errors.Exhausted):
        reserve(allocator, wish())


@pytest.mark.parametrize(
    ("first", "second", "collide"),
    [
        (("", "tcp"), ("127.0.0.1", "tcp"), True),
        (("127.0.0.1", "tcp"), ("", "tcp"), True),
        (("127.0.0.1", "tcp"), ("192.0.2.1", "tcp"), False),
        (("", "tcp"), ("", "udp"), False),
    ],
)
def test_same_port_collides_only_on_overlapping_addresses_of_one_protocol(first, second, collide):
    allocator = ports.PortAllocator(ephemeral=range(1), bind=Binder())
    reserve(allocator, wish(80, 80, *first))

    if collide:
        with pytest.raises(errors.Exhausted, match="port is already allocated"):
            reserve(allocator, wish(80, 80, *second))
    else:
        reserve(allocator, wish(80, 80, *second))


def test_refused_wish_gives_back_what_the_others_took():
    binder = Binder(81)
    allocator = ports.PortAllocator(ephemeral=range(1), bind=binder)

    with pytest.raises(errors.Exhausted) as refusal:
        reserve(allocator, wish(80, 80), wish(81, 81))

    assert refusal.value.message == (
        "driver failed programming external connectivity on endpoint web (id): "
        "failed to bind host port for 0.0.0.0:81:172.17.0.2:80/tcp: address already in use"
    )
    assert binder.held == []
    reserve(allocator, wish(80, 80))


def test_address_that_is_not_the_hosts_is_refused_at_once():
    allocator = ports.PortAllocator(ephemeral=range(1), bind=Binder())

    with pytest.raises(errors.Exhausted, match=r"9.9.9.9:80:172.17.0.2:80/tcp: cannot assign requested address"):
        reserve(allocator, wish(80, 90, "9.9.9.9"))


def test_unknown_protocol_is_the_callers_mistake():
    with pytest.raises(errors.InvalidArgument, match="invalid transport protocol: icmp"):
        reserve(ports.PortAllocator(ephemeral=range(1), bind=Binder()), wish(80, 80, protocol="icmp"))


def test_adopted_port_stays_ours_even_when_a_foreign_program_has_it():
    allocator = ports.PortAllocator(ephemeral=range(1), bind=Binder(81))
    known = [BoundPort(container_port=1, protocol="tcp", host_ip="0.0.0.0", host_port=port) for port in (80, 81)]

    assert numbers(allocator.adopt(known)) == [81]
    for port in (80, 81):
        with pytest.raises(errors.Exhausted, match="already allocated"):
            reserve(allocator, wish(port, port))
    allocator.release(known)
    assert numbers(reserve(allocator, wish(80, 80))) == [80]


def test_one_wish_takes_the_same_port_of_both_families_or_neither():
    binder = Binder()
    allocator = ports.PortAllocator(ephemeral=range(100, 104), bind=binder)
    both = {"host_ips": ["0.0.0.0", "::"], "container_ip": "172.17.0.2", "endpoint": "web (id)"}

    allocator.reserve(wish(100, 100, "::1"), host_ips=["::1"], container_ip="fd00::2", endpoint="x (id)")
    bound = allocator.reserve(wish(), **both)

    assert [(port.host_ip, port.host_port) for port in bound] == [("0.0.0.0", 101), ("::", 101)]
    with pytest.raises(errors.Exhausted, match="Bind for :::101 failed"):
        allocator.reserve(wish(101, 101, "::1"), host_ips=["::"], container_ip="fd00::2", endpoint="web (id)")
    allocator.release(bound)
    assert binder.held == [("tcp", "::1", 100)]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.sampled_from(["", "127.0.0.1"])), max_size=40))
def test_sockets_held_are_exactly_the_ports_given(steps):
    binder = Binder()
    allocator = ports.PortAllocator(ephemeral=range(1000, 1004), bind=binder)
    given_out = []
    for is_release, number, host_ip in steps:
        if is_release and given_out:
            allocator.release(given_out.pop(number % len(given_out)))
            continue
        try:
            given_out.append(reserve(allocator, wish(number, number, host_ip)))
        except errors.Exhausted:
            continue
    expected = sorted((p.protocol, p.host_ip, p.host_port) for bound in given_out for p in bound)
    assert sorted(binder.held) == expected
    assert len({(p, n) for p, _, n in expected}) + sum(h == "127.0.0.1" for _, h, _ in expected) >= len(expected)
    allocator.close()
    assert binder.held == []


def test_socket_of_a_reservation_does_not_listen():
    held = ports.bind_socket("tcp", "127.0.0.1", 0)
    number = held.getsockname()[1]

    with pytest.raises(OSError, match="Address already in use"):
        ports.bind_socket("tcp", "127.0.0.1", number)
    held.close()
    ports.bind_socket("tcp", "127.0.0.1", number).close()


def test_ephemeral_range_is_the_kernels(tmp_path):
    (tmp_path / "range").write_text("40000\t40009\n")

    assert ports.read_ephemeral_range(str(tmp_path / "range")) == range(40000, 40010)
    assert ports.read_ephemeral_range(str(tmp_path / "missing")) == range(49153, 65536)
