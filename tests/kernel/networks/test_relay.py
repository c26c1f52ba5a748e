# SPDX-License-Identifier: Apache-2.0
"""IPv6 to containers without it, and ::1 to all: the relay, between real namespaces."""

import hashlib
import os
import signal
import socket
import threading
import time
from contextlib import suppress

import pytest

from holdfast import networks

HOST, HOST6, NEIGHBOUR6 = "192.0.2.1", "2001:db8::1", "2001:db8::2"
GATEWAY = "172.17.0.1"


@pytest.fixture
def relaying(lan):
    """A LAN that speaks IPv6; its daemon relays."""
    for place, address in ((lan.host, HOST6), (lan.neighbour, NEIGHBOUR6)):
        place.shell(f"ip -6 addr add {address}/64 dev lan0 nodad")
    lan.restart_daemon(relay=True)
    yield lan
    end(lan.controller._relay.pid)


def end(pid):
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return


def is_alive(pid):
    """Of a child of ours, too, that nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def reach(place, address, udp):
    """The answer; a datagram, and the one that looks for its way, may be lost on a busy machine."""
    return next((answer for _ in range(3) if (answer := place.ask(address, 8080, udp=udp, timeout=2))), None)


def serve(lan, publish, udp=False, **binding):
    protocol = "udp" if udp else "tcp"
    _, web = lan.connect("web", ports=[publish(80, 8080, protocol=protocol, **binding)])
    web.serve(80, udp=udp)
    return web


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_ipv6_reaches_a_container_that_has_only_ipv4(relaying, publish, udp):
    serve(relaying, publish, udp)
    _, other = relaying.connect("other")

    assert reach(relaying.host, "::1", udp) == f"web {GATEWAY}"
    assert relaying.host.ask(HOST6, 8080, udp=udp) == f"web {GATEWAY}"
    assert relaying.neighbour.ask(HOST6, 8080, udp=udp) == f"web {GATEWAY}"
    assert relaying.host.ask("127.0.0.1", 8080, udp=udp) == f"web {GATEWAY}"
    assert other.ask(HOST, 8080, udp=udp) == f"web {GATEWAY}"


@pytest.mark.parametrize("bridge_filter", ["0", "1"])
@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
def test_ipv6_loopback_leads_to_containers_with_ipv6_whatever_bridges_filter(relaying, publish, udp, bridge_filter):
    try:
        relaying.host.write("bridge/bridge-nf-call-ip6tables", bridge_filter)
    except FileNotFoundError:
        assert not os.path.exists("/proc/sys/net/bridge")
    relaying.create("six", enable_ipv6=True, pools=(networks.PoolWish(subnet="fd00:9::/64"),))
    _, web = relaying.connect("web", mode="six", ports=[publish(80, 8080, protocol="udp" if udp else "tcp")])
    web.serve(80, address="::", udp=udp)

    assert reach(relaying.host, "::1", udp) == "web fd00:9::1"
    assert reach(relaying.neighbour, HOST6, udp) == f"web {NEIGHBOUR6}"


def test_port_on_ipv6_loopback_is_the_hosts_own(relaying, publish):
    serve(relaying, publish, host_ip="::1")

    assert relaying.host.ask("::1", 8080, timeout=3) == f"web {GATEWAY}"
    assert relaying.host.ask(HOST6, 8080) is None
    assert relaying.neighbour.ask(HOST6, 8080) is None
    assert relaying.host.ask("127.0.0.1", 8080) is None


def test_port_is_free_when_its_container_is_gone_and_works_for_the_next_at_once(relaying, publish):
    for _ in range(3):
        web = serve(relaying, publish)
        with relaying.host.run(lambda: socket.create_connection(("::1", 8080), timeout=3)) as client:
            assert client.recv(100) == f"web {GATEWAY}".encode()
            relaying.leave(web)
            relaying.disconnect("web")
        assert relaying.host.ask("::1", 8080) is None
    relaying.host.serve(8080, address="::")


def test_ports_go_on_without_the_daemon_and_the_next_one_takes_them_over(relaying, publish):
    web = serve(relaying, publish)
    assert relaying.host.ask("::1", 8080, timeout=3) is not None
    relay = relaying.controller._relay.pid

    relaying.kill_daemon()
    assert relaying.host.ask("::1", 8080) == f"web {GATEWAY}"
    relaying.controller = relaying.start_daemon(relay=True)
    assert relaying.notes == []
    assert relaying.controller._relay.pid == relay
    assert relaying.host.ask("::1", 8080) == f"web {GATEWAY}"

    os.kill(relay, signal.SIGKILL)
    notes = []
    assert wait_until(lambda: notes.extend(relaying.host.run(relaying.controller.repair)) or notes)
    assert notes == ["the relay of published ports had died and was started again"]
    assert relaying.host.ask("::1", 8080, timeout=3) == f"web {GATEWAY}"
    relaying.leave(web)
    relaying.disconnect("web")
    relaying.host.serve(8080, address="::")


def test_what_knocks_while_the_relay_is_dead_is_answered_by_the_next_one(relaying, publish):
    serve(relaying, publish)
    assert relaying.host.ask("::1", 8080, timeout=3) is not None
    os.kill(relaying.controller._relay.pid, signal.SIGKILL)
    with relaying.host.run(lambda: socket.create_connection(("::1", 8080), timeout=3)) as client:
        assert wait_until(lambda: relaying.host.run(relaying.controller.repair))

        assert client.recv(100) == f"web {GATEWAY}".encode()


def test_ports_that_end_with_a_dead_daemon_are_given_up_by_the_next_one(relaying, publish):
    serve(relaying, publish)
    assert relaying.host.ask("::1", 8080, timeout=3) is not None
    relay = relaying.controller._relay.pid
    relaying.kill_daemon()
    (relaying.directory / "exec/networks/sandboxes/web.json").unlink()

    relaying.controller = relaying.start_daemon(relay=True)

    assert wait_until(lambda: not is_alive(relay))
    relaying.host.serve(8080, address="::")
    end(relay)


def test_without_userland_proxy_nothing_is_relayed(relaying, publish):
    relaying.restart_daemon(relay=False)
    attachment, web = relaying.connect("web", ports=[publish(80, 8080)])
    web.serve(80)

    assert [port.host_ip for port in attachment.ports] == ["0.0.0.0"]
    assert relaying.host.ask("::1", 8080) is None
    assert relaying.controller._relay.pid == 0


def test_relay_of_the_last_daemon_leaves_when_there_is_to_be_none(relaying, publish):
    serve(relaying, publish)
    assert relaying.host.ask("::1", 8080, timeout=3) is not None
    relay = relaying.controller._relay.pid

    relaying.restart_daemon(relay=False)

    assert relaying.notes == []
    assert wait_until(lambda: not is_alive(relay))
    assert relaying.host.ask("::1", 8080) is None
    assert relaying.host.ask("127.0.0.1", 8080) == f"web {GATEWAY}"
    relaying.disconnect("web")
    relaying.host.serve(8080, address="::")
    end(relay)


def test_answers_leave_from_the_address_that_was_asked(relaying, publish):
    relaying.host.shell("ip -6 addr add 2001:db8::8/64 dev lan0 nodad; ip -6 addr add 2001:db8::9/64 dev lan0 nodad")
    serve(relaying, publish, udp=True)

    for address in (HOST6, "2001:db8::8", "2001:db8::9"):  # `ask` connects: another sender's answer is none
        assert reach(relaying.neighbour, address, udp=True) == f"web {GATEWAY}"


def test_container_moves_to_ipv6_and_back_with_its_port(relaying, publish):
    relaying.create("six", enable_ipv6=True, pools=(networks.PoolWish(subnet="fd00:9::/64"),))
    ports = [publish(80, 8080)]
    _, web = relaying.connect("web", ports=ports)
    web.serve(80)
    both = (networks.EndpointSettings(network="bridge"), networks.EndpointSettings(network="six"))
    request = relaying.request("web", ports=ports, endpoints=both)

    moved = relaying.host.run(lambda: relaying.controller.change(request))
    server = web.run(lambda: socket.create_server(("::", 80), family=socket.AF_INET6))
    threading.Thread(target=lambda: server.accept()[0].sendall(b"six"), daemon=True).start()
    assert [port.host_ip for port in moved.ports] == ["0.0.0.0", "::"]
    with relaying.host.run(lambda: socket.create_connection(("::1", 8080), timeout=3)) as client:
        assert client.recv(10) == b"six"
    server.close()

    back = relaying.request("web", ports=ports)
    relaying.host.run(lambda: relaying.controller.change(back))
    assert relaying.host.ask("::1", 8080, timeout=3) == f"web {GATEWAY}"


@pytest.mark.parametrize("protocol", [4, 6])
def test_ports_are_relayed_where_no_rules_are_wanted(relaying, publish, protocol):
    relaying.restart_daemon(relay=True, firewall=protocol != 4, firewall6=protocol != 6)
    relaying.create("six", enable_ipv6=True, pools=(networks.PoolWish(subnet="fd00:9::/64"),))
    _, web = relaying.connect("web", mode="six", ports=[publish(80, 8080)])
    web.serve(80, address="::" if protocol == 6 else "0.0.0.0")

    if protocol == 6:
        assert relaying.neighbour.ask(HOST6, 8080, timeout=3) == "web fd00:9::1"
    else:
        assert relaying.neighbour.ask(HOST, 8080, timeout=3) == "web 172.18.0.1"


def echo(place, port):
    """A server that sends all back, and ends when its client has ended."""
    server = place.run(lambda: socket.create_server(("0.0.0.0", port), backlog=200))

    def answer(connection):
        with connection, suppress(ConnectionError):
            while piece := connection.recv(1 << 16):
                connection.sendall(piece)

    def accept():
        try:
            while True:
                threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
        except OSError:
            return

    threading.Thread(target=accept, daemon=True).start()
    return server


def test_every_byte_arrives_both_ways_and_ends_are_passed_on(relaying, publish):
    _, web = relaying.connect("web", ports=[publish(80, 8080)])
    with echo(web, 80):
        data = os.urandom(8 << 20)
        client = relaying.host.run(lambda: socket.create_connection(("::1", 8080), timeout=10))

        def send():
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        digest, received = hashlib.sha256(), 0
        while piece := client.recv(1 << 16):
            digest.update(piece)
            received += len(piece)
        client.close()

        assert received == len(data)
        assert digest.digest() == hashlib.sha256(data).digest()


def test_a_client_that_reads_nothing_holds_up_nobody_and_costs_no_processor(relaying, publish):
    _, web = relaying.connect("web", ports=[publish(80, 8080)])
    with echo(web, 80):
        lazy = relaying.host.run(lambda: socket.create_connection(("::1", 8080), timeout=1))
        with suppress(TimeoutError):
            while True:
                lazy.sendall(bytes(1 << 16))
        pid = relaying.controller._relay.pid
        before = processor_seconds(pid)
        time.sleep(0.3)

        with relaying.host.run(lambda: socket.create_connection(("::1", 8080), timeout=3)) as client:
            client.sendall(b"hello")
            assert client.recv(10) == b"hello"
        assert processor_seconds(pid) - before < 0.1
        lazy.close()


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_nobody_behind_the_port_is_a_reset(relaying, publish):
    relaying.connect("web", ports=[publish(80, 8080)])

    with (
        relaying.host.run(lambda: socket.create_connection(("::1", 8080), timeout=3)) as client,
        pytest.raises(ConnectionResetError),
    ):
        client.recv(10)


def private_kilobytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private"))


def test_many_connections_leave_neither_descriptors_nor_memory(relaying, publish):
    _, web = relaying.connect("web", ports=[publish(80, 8080), publish(81, 8081, protocol="udp")])
    web.serve(81, udp=True)
    with echo(web, 80):

        def round_of(count):
            clients = [
                relaying.host.run(lambda: socket.create_connection(("::1", 8080), timeout=5)) for _ in range(count)
            ]
            for client in clients:
                client.sendall(b"x")
                assert client.recv(1) == b"x"
            for number, client in enumerate(clients):
                if number % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                client.close()

        round_of(100)
        assert relaying.host.ask("::1", 8081, udp=True, timeout=3) is not None
        pid = relaying.controller._relay.pid
        descriptors = lambda: len(os.listdir(f"/proc/{pid}/fd"))  # noqa: E731
        assert wait_until(lambda: descriptors() < 40)
        level, memory = descriptors(), private_kilobytes(pid)
        for _ in range(4):
            round_of(100)

        assert wait_until(lambda: descriptors() <= level)
        assert private_kilobytes(pid) < memory + 300
        assert memory < 15_000
