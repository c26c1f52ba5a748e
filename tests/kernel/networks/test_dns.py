# SPDX-License-Identifier: Apache-2.0
"""The resolver process in real namespaces: sandboxes, upstreams in the host's and the sandbox's namespace, attackers.

A sandbox is a thread in a network namespace; the process is started from the thread that is the host.
"""

import json
import os
import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import dnslib
import pytest

from holdfast.networks.dns.client import Client
from holdfast.networks.names import Place as Names
from holdfast.networks.names import SandboxNames, Upstream

from .conftest import Place

SERVER = "127.0.0.11"
HOST_STUB = "127.0.0.53"


class Upstreams:
    """Servers on port 53; `asked` is (where, question) of every query. `behave` maps (record, tcp) to answers."""

    def __init__(self):
        self.asked = []
        self._sockets = []

    def serve(self, place, address, behave):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            sock = place.run(lambda kind=kind: socket.socket(socket.AF_INET, kind))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, 53))
            self._sockets.append(sock)
            is_tcp = kind == socket.SOCK_STREAM
            if is_tcp:
                sock.listen()
            threading.Thread(
                target=self._answer_tcp if is_tcp else self._answer_udp, args=(sock, address, behave), daemon=True
            ).start()

    def _answer_udp(self, sock, address, behave):
        try:
            while True:
                query, peer = sock.recvfrom(4096)
                for answer in self._answers(query, address, behave, False):
                    sock.sendto(answer, peer)
        except OSError:
            return

    def _answer_tcp(self, sock, address, behave):
        try:
            while True:
                connection, _ = sock.accept()
                with connection:
                    query = connection.recv(4096)[2:]
                    for answer in self._answers(query, address, behave, True):
                        connection.sendall(len(answer).to_bytes(2, "big") + answer)
        except OSError:
            return

    def _answers(self, query, address, behave, is_tcp):
        record = dnslib.DNSRecord.parse(query)
        self.asked.append((address, str(record.q.qname), is_tcp))
        return [bytes(each.pack()) if not isinstance(each, bytes) else each for each in behave(record, is_tcp)]

    def close(self):
        for sock in self._sockets:
            if sock.type == socket.SOCK_STREAM:
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


def answering(address, *, code=0):
    def behave(record, is_tcp):
        reply = record.reply()
        reply.header.rcode = code
        if not code:
            reply.add_answer(*dnslib.RR.fromZone(f"{record.q.qname} 5 A {address}"))
        return [reply]

    return behave


def silent(record, is_tcp):
    return []


class World:
    def __init__(self, directory, stack):
        self.directory = directory
        self._stack = stack
        self.host = Place("host")
        stack.callback(self.host.close)
        self.upstreams = Upstreams()
        stack.callback(self.upstreams.close)
        self.resolv_conf = directory / "resolv.conf"
        self.resolv_conf.write_text(f"nameserver {HOST_STUB}\n")
        self.host.shell(f"mount --bind {self.resolv_conf} /etc/resolv.conf")
        self.published = {}
        self.client = Client(directory)
        stack.callback(self._end)

    def _end(self):
        pid = self.pid
        self.client.close()
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    @property
    def pid(self):
        return self.client.pid

    def sandbox(self, name, *networks, address="10.1.0.2", aliases=(), upstreams=(), can_forward=True, publish=True):
        place = Place(name)
        self._stack.callback(place.close)
        place.run(lambda: None)
        tid = place.run(threading.get_native_id)
        names = SandboxNames(
            sandbox_id=name,
            container_id=name,
            container_name=name,
            netns_path=f"/proc/{os.getpid()}/task/{tid}/ns/net",
            places=tuple(
                [
                    Names(network_id=each + "id", network_name=each, names=(name, *aliases), ipv4=(address,))
                    for each in networks or ("net",)
                ]
            ),
            upstreams=tuple([Upstream(address=each, in_host=False) for each in upstreams]),
            can_forward=can_forward,
        )
        self.published[name] = names
        if publish:
            self.publish(names)
        return place

    def publish(self, names):
        self.host.run(lambda: self.client.publish(names))


@pytest.fixture
def world(tmp_path):
    with ExitStack() as stack:
        yield World(tmp_path, stack)


def ask(place, name, kind="A", *, tcp=False, timeout=2.0, server=SERVER, edns=None):
    """The answer as a record, or None."""
    query = dnslib.DNSRecord.question(name, kind)
    if edns is not None:
        query.add_ar(edns)
    sock = place.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM))
    with sock:
        sock.settimeout(timeout)
        data = bytes(query.pack())
        try:
            sock.connect((server, 53))
            sock.send(len(data).to_bytes(2, "big") + data if tcp else data)
            answer = sock.recv(65535)
            while tcp and len(answer) < 2 + int.from_bytes(answer[:2], "big"):
                answer += sock.recv(65535)
        except OSError:
            return None
    record = dnslib.DNSRecord.parse(answer[2:] if tcp else answer)
    assert record.header.id == query.header.id
    return record


def addresses(record):
    return [str(each.rdata) for each in record.rr]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_name_is_answered_at_port_53(world, tcp):
    one = world.sandbox("one", address="10.1.0.2")
    world.sandbox("two", address="10.1.0.3", aliases=("web",))

    assert addresses(ask(one, "two", tcp=tcp)) == ["10.1.0.3"]
    assert addresses(ask(one, "web.net", tcp=tcp)) == ["10.1.0.3"]
    assert addresses(ask(one, "3.0.1.10.in-addr.arpa", "PTR", tcp=tcp)) == ["two.net."]


@pytest.mark.parametrize("udp", [True, False], ids=["udp", "tcp"])
def test_containers_own_server_may_have_port_53(world, udp):
    one = world.sandbox("one")

    one.serve(53, udp=udp)

    assert one.ask("127.0.0.1", 53, udp=udp).startswith("one ")
    assert addresses(ask(one, "one", tcp=not udp)) == ["10.1.0.2"]


def test_rules_in_the_sandbox_are_four_and_track_nothing(world):
    one = world.sandbox("one")
    ask(one, "one")

    listed = json.loads(one.shell("nft -j list ruleset"))["nftables"]

    assert {item["table"]["name"] for item in listed if "table" in item} == {"holdfast-dns"}
    assert {(item["chain"]["hook"], item["chain"]["prio"]) for item in listed if "chain" in item} == {
        ("input", 300),
        ("output", -300),
    }
    rules = [item["rule"]["expr"] for item in listed if "rule" in item]
    assert len(rules) == 4
    assert all("mangle" in rule[-1] for rule in rules)


def test_names_do_not_leak_between_networks(world):
    one = world.sandbox("one", "front")
    world.sandbox("two", "back", address="10.2.0.3")
    world.upstreams.serve(world.host, HOST_STUB, answering("9.9.9.9", code=3))

    assert ask(one, "two").header.rcode == 3
    assert ask(one, "two.back").header.rcode == 3


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_rest_goes_to_the_hosts_resolver_on_its_loopback(world, tcp):
    one = world.sandbox("one")
    world.upstreams.serve(world.host, HOST_STUB, answering("9.9.9.9"))

    assert addresses(ask(one, "www.example.org", tcp=tcp)) == ["9.9.9.9"]
    assert world.upstreams.asked == [(HOST_STUB, "www.example.org.", tcp)]


def test_hosts_resolver_is_the_one_of_now(world):
    one = world.sandbox("one")
    world.upstreams.serve(world.host, "127.0.0.54", answering("8.8.4.4"))
    assert ask(one, "a.example").header.rcode == 2

    world.resolv_conf.write_text("nameserver 127.0.0.54\n")
    time.sleep(1.1)

    assert addresses(ask(one, "a.example")) == ["8.8.4.4"]


def test_named_server_is_asked_from_the_containers_namespace(world):
    one = world.sandbox("one", upstreams=("127.0.0.9",))
    world.upstreams.serve(one, "127.0.0.9", answering("7.7.7.7"))
    world.upstreams.serve(world.host, "127.0.0.9", answering("6.6.6.6"))

    assert addresses(ask(one, "www.example.org")) == ["7.7.7.7"]


def test_the_resolver_does_not_ask_itself(world):
    one = world.sandbox("one", upstreams=("127.0.0.11",))
    two = world.sandbox("two", upstreams=("127.0.0.11", "127.0.0.9"), address="10.1.0.3")
    world.upstreams.serve(two, "127.0.0.9", answering("7.7.7.7"))
    world.upstreams.serve(world.host, HOST_STUB, answering("6.6.6.6"))
    begin = time.monotonic()

    assert ask(one, "www.example.org").header.rcode == 2, "and its container's servers are not the host's"
    assert addresses(ask(two, "www.example.org")) == ["7.7.7.7"]
    assert time.monotonic() - begin < 1, "nobody was waited for"


def test_edns_and_truncation_pass_through(world):
    one = world.sandbox("one")
    seen = []

    def behave(record, is_tcp):
        seen.append(record)
        reply = record.reply()
        for number in range(100 if is_tcp else 2):
            reply.add_answer(*dnslib.RR.fromZone(f"{record.q.qname} 5 A 9.9.9.{number}"))
        reply.header.tc = not is_tcp
        return [reply]

    world.upstreams.serve(world.host, HOST_STUB, behave)
    option = dnslib.EDNS0(udp_len=1400, flags="do", opts=[dnslib.EDNSOption(10, b"a-cookie")])

    by_udp = ask(one, "big.example", edns=option)
    by_tcp = ask(one, "big.example", tcp=True)

    assert (by_udp.header.tc, len(by_udp.rr)) == (1, 2)
    assert (by_tcp.header.tc, len(by_tcp.rr)) == (0, 100)
    sent = seen[0].ar[0]
    assert (sent.edns_len, sent.edns_do, sent.rdata[0].code, sent.rdata[0].data) == (1400, 1, 10, b"a-cookie")


def test_answer_that_does_not_fit_says_so_and_tcp_has_it_all(world):
    one = world.sandbox("one", address="10.1.0.2", aliases=("all",))
    for number in range(3, 9):
        world.sandbox(f"s{number}", address=f"10.1.0.{number}", aliases=("all",))
    many = world.published["one"]
    world.publish(
        SandboxNames(
            **{
                **{name: getattr(many, name) for name in SandboxNames.__slots__},
                "places": (
                    Names(
                        network_id="netid",
                        network_name="net",
                        names=("one", "all"),
                        ipv4=tuple([f"10.9.0.{number}" for number in range(60)]),
                    ),
                ),
            }
        )
    )

    assert ask(one, "all").header.tc == 1
    assert len(ask(one, "all", tcp=True).rr) == 66
    assert len(ask(one, "all", edns=dnslib.EDNS0(udp_len=4096)).rr) == 66


@pytest.mark.parametrize("first", ["absent", "silent", "failing"])
def test_second_server_answers_when_the_first_does_not(world, first):
    one = world.sandbox("one")
    world.resolv_conf.write_text("nameserver 127.0.0.61\nnameserver 127.0.0.62\n")
    if first != "absent":
        world.upstreams.serve(world.host, "127.0.0.61", silent if first == "silent" else answering("", code=2))
    world.upstreams.serve(world.host, "127.0.0.62", answering("9.9.9.9"))

    began = time.monotonic()
    assert addresses(ask(one, "www.example.org", timeout=5)) == ["9.9.9.9"]
    assert time.monotonic() - began < (3 if first == "silent" else 1)


def test_failure_of_all_is_told(world):
    one = world.sandbox("one")
    world.upstreams.serve(world.host, HOST_STUB, answering("", code=5))

    assert ask(one, "www.example.org").header.rcode == 5
    world.resolv_conf.write_text("")
    time.sleep(1.1)
    assert ask(one, "www.example.org").header.rcode == 2


def test_forged_answers_are_not_believed(world):
    one = world.sandbox("one")

    def behave(record, is_tcp):
        wrong_number, wrong_question = record.reply(), dnslib.DNSRecord.question("evil.example").reply()
        wrong_number.header.id ^= 1
        wrong_question.header.id = record.header.id
        for forged in (wrong_number, wrong_question):
            forged.add_answer(*dnslib.RR.fromZone(f"{forged.q.qname} 5 A 6.6.6.6"))
        return [b"junk", wrong_number, wrong_question, *answering("9.9.9.9")(record, is_tcp)]

    world.upstreams.serve(world.host, HOST_STUB, behave)

    assert addresses(ask(one, "www.example.org")) == ["9.9.9.9"]


def test_internal_network_asks_nobody(world):
    one = world.sandbox("one", can_forward=False)
    world.upstreams.serve(world.host, HOST_STUB, answering("9.9.9.9"))

    assert ask(one, "www.example.org").header.rcode == 2
    assert addresses(ask(one, "one")) == ["10.1.0.2"]
    assert world.upstreams.asked == []


def test_named_server_inside_an_internal_network_is_asked_from_there(world):
    one = world.sandbox("one", upstreams=("127.0.0.9",), can_forward=False)
    world.upstreams.serve(one, "127.0.0.9", answering("7.7.7.7"))

    assert addresses(ask(one, "www.example.org")) == ["7.7.7.7"]


def test_names_outlive_the_daemon_and_the_next_one_takes_them_over(world):
    one, two = world.sandbox("one"), world.sandbox("two", address="10.1.0.3")
    pid = world.pid
    world.host.run(world.client.close)

    assert addresses(ask(one, "two")) == ["10.1.0.3"]

    world.client = Client(world.directory)
    world.host.run(lambda: world.client.start([world.published["one"]]))
    assert world.pid == pid
    assert addresses(ask(one, "one")) == ["10.1.0.2"]
    assert ask(one, "two").header.rcode == 2
    assert ask(two, "two", timeout=0.3) is None


def test_namespace_is_handed_over_for_its_path_may_be_the_daemons_alone(world):
    one = world.sandbox("one")
    two = world.sandbox("two", address="10.1.0.3", publish=False)
    with open(world.published["two"].netns_path, "rb") as namespace:
        world.publish(replace(world.published["two"], netns_path=f"/proc/self/fd/{namespace.fileno()}"))

    assert addresses(ask(two, "one")) == ["10.1.0.2"]
    assert addresses(ask(one, "two")) == ["10.1.0.3"]


def test_resolver_that_was_killed_is_replaced_with_all_it_knew(world):
    one = world.sandbox("one")
    world.sandbox("two", address="10.1.0.3")
    os.kill(world.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (note := world.host.run(world.client.repair)):
        time.sleep(0.02)

    assert note == "the DNS resolver had died and was started again"
    assert world.host.run(world.client.repair) == ""
    assert addresses(ask(one, "two")) == ["10.1.0.3"]


def test_publish_after_the_resolvers_death_heals_it_too(world):
    one = world.sandbox("one")
    os.kill(world.pid, signal.SIGKILL)

    world.sandbox("two", address="10.1.0.3")

    assert addresses(ask(one, "two")) == ["10.1.0.3"]


def test_mute_resolver_is_replaced(world, monkeypatch):
    monkeypatch.setattr("holdfast.networks.companions.client._ANSWER_SECONDS", 1.0)
    one = world.sandbox("one")
    mute = world.pid
    world.host.run(world.client.close)
    os.kill(mute, signal.SIGSTOP)

    world.client = Client(world.directory)
    world.host.run(lambda: world.client.start(list(world.published.values())))

    assert world.pid != mute
    assert addresses(ask(one, "one")) == ["10.1.0.2"]
    os.waitpid(mute, 0)


def test_control_socket_is_our_own_users(world):
    world.sandbox("one")

    assert os.stat(world.directory / "dns.sock").st_mode & 0o777 == 0o600


def test_flood_in_one_sandbox_leaves_the_others_their_answers(world):
    evil, good = world.sandbox("evil"), world.sandbox("good", address="10.1.0.3")
    world.upstreams.serve(world.host, HOST_STUB, silent)
    held = []
    for _ in range(60):
        sock = evil.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        held.append(sock)
        sock.settimeout(0.2)
        with suppress(OSError):
            sock.connect((SERVER, 53))
            sock.send(b"\x0f")
    with evil.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as flood:
        flood.connect((SERVER, 53))
        for number in range(3000):
            flood.send(os.urandom(number % 512))
            flood.send(bytes(dnslib.DNSRecord.question(f"n{number}.example").pack()))
            if number % 300 == 0:
                assert addresses(ask(good, "good", timeout=1)) == ["10.1.0.3"]
        flood.send(b"\0" * 60000)

    assert addresses(ask(good, "good", timeout=1)) == ["10.1.0.3"]
    assert addresses(ask(good, "good", timeout=1, tcp=True)) == ["10.1.0.3"]
    assert len(os.listdir(f"/proc/{world.pid}/fd")) < 600
    for sock in held:
        sock.close()


def test_hundred_comings_and_goings_keep_descriptors_and_memory_level(world):
    one = world.sandbox("one")
    two = world.sandbox("two", publish=False)
    names = world.published["two"]
    assert two is not None

    def cycle():
        world.client.publish(names)
        world.client.withdraw("two")

    world.host.run(cycle)
    fds, memory = len(os.listdir(f"/proc/{world.pid}/fd")), private_kilobytes(world.pid)
    for _ in range(100):
        world.host.run(cycle)

    assert len(os.listdir(f"/proc/{world.pid}/fd")) == fds
    assert private_kilobytes(world.pid) < memory + 300
    assert memory < 9000
    assert ask(one, "two").header.rcode == 2


def private_kilobytes(pid):
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private"))


def test_ten_thousand_answers_cost_less_than_a_second_of_processor(world):
    one = world.sandbox("one")
    query = bytes(dnslib.DNSRecord.question("one").pack())
    before = processor_seconds(world.pid)
    with one.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(2)
        sock.connect((SERVER, 53))
        for _ in range(16):
            sock.send(query)
        for _ in range(10_000):
            assert sock.recv(512)[3] == 0x80
            sock.send(query)

    assert processor_seconds(world.pid) - before < 1.0


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
