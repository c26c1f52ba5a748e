# SPDX-License-Identifier: Apache-2.0
"""User-defined networks on a real kernel: live changes, several networks, IPv6, restarts, what was lost, leaks."""

import errno
import json
import os
import socket
import time

import pytest

from holdfast import errors
from holdfast.networks import EndpointSettings, NetworkWish, PoolWish

HOST, NEIGHBOUR = "192.0.2.1", "192.0.2.2"


class Recorder:
    """Stands in for the resolver."""

    def __init__(self):
        self.known = {}

    def start(self, published):
        self.known = {each.sandbox_id: each for each in published}

    def publish(self, names):
        self.known[names.sandbox_id] = names

    def withdraw(self, sandbox_id):
        self.known.pop(sandbox_id, None)

    def close(self):
        pass

    def places(self):
        return {each.container_name: [place.network_name for place in each.places] for each in self.known.values()}


def create(lan, name, subnet="", **more):
    pools = tuple(PoolWish(subnet=each) for each in subnet.split()) if subnet else ()
    wish = NetworkWish(name=name, pools=pools, enable_ipv6=":" in subnet, **more)
    return lan.host.run(lambda: lan.controller.create(wish, now_nanos=time.time_ns()))


def remove(lan, name):
    return lan.host.run(lambda: lan.controller.remove(name))


def joined(lan, name, *networks, **more):
    endpoints = tuple(
        each if isinstance(each, EndpointSettings) else EndpointSettings(network=each) for each in networks
    )
    return lan.connect(name, mode=endpoints[0].network, endpoints=endpoints, **more)


def change(lan, name, *networks, **more):
    endpoints = tuple(
        each if isinstance(each, EndpointSettings) else EndpointSettings(network=each) for each in networks
    )
    request = lan.request(name, mode="first", endpoints=endpoints, **more)
    return lan.host.run(lambda: lan.controller.change(request))


def interfaces(place):
    """Those with an address, and which."""
    found = json.loads(place.shell("ip -j addr"))
    return {
        link["ifname"]: [a["local"] for a in link["addr_info"] if a["scope"] == "global"]
        for link in found
        if link["ifname"] != "lo"
    }


def default_route(place, family="-4"):
    routes = json.loads(place.shell(f"ip -j {family} route show default"))
    return [(route.get("gateway"), route["dev"]) for route in routes]


def reaches(place, address):
    """Whether somebody answers there, if only that nobody listens."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with place.run(lambda: socket.socket(family, socket.SOCK_STREAM)) as client:
        client.settimeout(2)
        return client.connect_ex((address, 9)) == errno.ECONNREFUSED


def settled(lan):
    """Waits for what is deleted behind the scenes."""
    lan.host.run(lan.controller._undertaker.settle)


def host_links(lan):
    settled(lan)
    return {link["ifname"] for link in json.loads(lan.host.shell("ip -j link"))}


def test_network_is_made_found_again_and_removed(lan):
    before = host_links(lan)
    made = create(
        lan,
        "one",
        "10.5.0.0/24",
        options={"com.docker.network.bridge.name": "mine", "com.docker.network.driver.mtu": "1400"},
    )
    link = json.loads(lan.host.shell("ip -j addr show mine"))[0]
    assert (link["mtu"], link["addr_info"][0]["local"]) == (1400, "10.5.0.1")

    lan.restart_daemon()
    assert lan.controller.network("one").pools == made.pools
    with pytest.raises(errors.AlreadyExists):
        create(lan, "one")
    with pytest.raises(errors.Forbidden, match="Pool overlaps"):
        create(lan, "two", "10.5.0.128/25")
    with pytest.raises(errors.Forbidden, match="same bridge name"):
        create(lan, "two", "10.6.0.0/24", options={"com.docker.network.bridge.name": "mine"})
    remove(lan, made.network_id[:7])

    assert host_links(lan) == before
    create(lan, "two", "10.5.0.128/25")


def test_failed_creation_leaves_nothing(lan):
    before, known = host_links(lan), len(lan.controller.networks())
    lan.host.shell("ip link add taken type bridge && ip link add notabridge type veth peer name other")

    for options in ({"com.docker.network.bridge.name": "notabridge"}, {"com.docker.network.driver.mtu": "x"}):
        with pytest.raises(errors.HoldfastError):
            create(lan, "bad", "10.5.0.0/24", options=options)

    assert len(lan.controller.networks()) == known
    assert host_links(lan) - before == {"taken", "notabridge", "other"}
    create(lan, "good", "10.5.0.0/24")


def test_several_networks_at_once_and_the_gateway_by_priority(lan):
    create(lan, "first", "10.5.0.0/24")
    create(lan, "second", "10.6.0.0/24")
    inside = create(lan, "inner", "10.7.0.0/24", internal=True)
    wanted = [EndpointSettings(network="second", gateway_priority=5, ip_address="10.6.0.77", mac="02:00:00:00:00:77")]

    attachment, place = joined(lan, "box", "first", *wanted, inside.network_id)

    assert interfaces(place) == {"eth0": ["10.5.0.2"], "eth1": ["10.6.0.77"], "eth2": ["10.7.0.2"]}
    assert default_route(place) == [("10.6.0.1", "eth1")]
    assert "02:00:00:00:00:77" in place.shell("ip link show eth1")
    assert [endpoint.gateway for endpoint in attachment.endpoints] == ["10.5.0.1", "10.6.0.1", ""]
    with pytest.raises(errors.Forbidden, match="Address already in use"):
        joined(lan, "late", *wanted)
    with pytest.raises(errors.Forbidden, match=r'has active endpoints .name:"box" id:"'):
        remove(lan, "second")


def test_living_container_comes_and_goes(lan, publish):
    create(lan, "first", "10.5.0.0/24")
    create(lan, "second", "10.6.0.0/24")
    ports = [publish(80, 8080)]
    _, place = joined(lan, "box", "first", ports=ports)
    place.serve(80)
    hosts = lan.directory / "box" / "hosts"
    hosts.write_text(hosts.read_text() + "10.9.9.9\tmine\n")

    change(lan, "box", "first", "second", ports=ports)
    assert interfaces(place) == {"eth0": ["10.5.0.2"], "eth1": ["10.6.0.2"]}
    assert default_route(place) == [("10.5.0.1", "eth0")]
    assert lan.neighbour.ask(HOST, 8080) == f"box {NEIGHBOUR}"

    attachment = change(lan, "box", "second", ports=ports)
    settled(lan)
    assert interfaces(place) == {"eth1": ["10.6.0.2"]}
    assert default_route(place) == [("10.6.0.1", "eth1")]
    assert attachment.ports[0].host_port == 8080
    assert lan.neighbour.ask(HOST, 8080) == f"box {NEIGHBOUR}"
    assert (
        "10.6.0.2\tbox\n10.9.9.9\tmine\n" in hosts.read_text() or "10.9.9.9\tmine\n10.6.0.2\tbox\n" in hosts.read_text()
    )
    assert "10.5.0.2" not in hosts.read_text()

    assert change(lan, "box", ports=ports).ports == ()
    settled(lan)
    assert interfaces(place) == {}
    assert lan.neighbour.ask(HOST, 8080) is None
    change(lan, "box", "first", ports=ports)
    assert interfaces(place) == {"eth0": ["10.5.0.2"]}
    assert lan.neighbour.ask(HOST, 8080) == f"box {NEIGHBOUR}"
    remove(lan, "second")


def test_refused_change_leaves_the_container_as_it_was(lan, publish):
    create(lan, "first", "10.5.0.0/24")
    create(lan, "second", "10.6.0.0/24")
    joined(lan, "other", EndpointSettings(network="second", ip_address="10.6.0.9"))
    _, place = joined(lan, "box", "first", ports=[publish(80, 8080)])
    before = lan.controller.sandbox("box")

    for wish in (EndpointSettings(network="second", ip_address="10.6.0.9"), EndpointSettings(network="nosuch")):
        with pytest.raises(errors.HoldfastError):
            change(lan, "box", "first", wish, ports=[publish(80, 8080)])

    assert lan.controller.sandbox("box") == before
    assert interfaces(place) == {"eth0": ["10.5.0.2"]}
    assert (
        json.loads((lan.directory / "exec/networks/sandboxes/box.json").read_text())["endpoints"][0]["network_name"]
        == "first"
    )


def test_port_that_the_new_network_cannot_have_leaves_everything_as_it_was(lan, publish):
    create(lan, "first", "10.5.0.0/24")
    made = create(lan, "second", "10.6.0.0/24 fd00:6::/64")
    _, place = joined(lan, "box", "first", ports=[publish(80, 8080)])
    place.serve(80)
    with lan.host.run(lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM)) as foreign:
        foreign.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        foreign.bind(("::", 8080))
        foreign.listen()

        with pytest.raises(errors.Exhausted, match="address already in use"):
            change(lan, "box", "second", ports=[publish(80, 8080)])

    settled(lan)
    assert interfaces(place) == {"eth0": ["10.5.0.2"]}
    assert lan.neighbour.ask(HOST, 8080, timeout=1) == f"box {NEIGHBOUR}"
    assert lan.controller.members(made.network_id) == []
    with pytest.raises(OSError, match="Address already in use"):
        lan.host.serve(8080)
    ports = change(lan, "box", "second", ports=[publish(80, 8080)]).ports
    assert [(port.host_ip, port.host_port) for port in ports] == [("0.0.0.0", 8080), ("::", 8080)]


def test_one_network_under_two_names_is_one_too_many(lan):
    made = create(lan, "first", "10.5.0.0/24")

    with pytest.raises(errors.Forbidden, match="endpoint with name box already exists in network first"):
        joined(lan, "box", "first", made.network_id)
    assert lan.controller.sandbox("box") is None


def test_dual_stack_has_addresses_routes_and_names_of_both_families(lan):
    create(lan, "first", "10.5.0.0/24 fd00:5::/64")
    attachment, place = joined(lan, "box", "first")
    _, other = joined(lan, "other", "first")

    assert interfaces(place) == {"eth0": ["10.5.0.2", "fd00:5::2"]}
    assert default_route(place, "-6") == [("fd00:5::1", "eth0")]
    assert "fd00:5::2\tbox\n" in attachment.hosts_path.read_text()
    assert reaches(other, "fd00:5::2")
    assert reaches(other, "fd00:5::1")


def test_ipv6_only_and_generated_subnets(lan):
    wish = NetworkWish(name="first", enable_ipv4=False, enable_ipv6=True)
    made = lan.host.run(lambda: lan.controller.create(wish, now_nanos=1))
    _, place = joined(lan, "box", "first")

    assert made.pools[0].subnet.startswith("fd")
    assert [len(found) for found in interfaces(place).values()] == [1]
    assert default_route(place) == []
    assert default_route(place, "-6") == [(made.pools[0].gateway, "eth0")]


def test_endpoint_options_act(lan):
    create(lan, "first", "10.5.0.0/24", options={"com.docker.network.container_iface_prefix": "net"})
    create(lan, "second", "10.6.0.0/24")
    sysctls = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.ifname.rp_filter=2"
    options = (("com.docker.network.endpoint.sysctls", sysctls), ("com.docker.network.endpoint.ifname", "up0"))

    _, place = joined(
        lan,
        "box",
        "first",
        EndpointSettings(network="second", driver_options=options, link_local_addresses=("169.254.7.7",)),
    )

    assert set(interfaces(place)) == {"net0", "up0"}
    assert place.shell(
        "cat /proc/sys/net/ipv4/conf/up0/log_martians /proc/sys/net/ipv4/conf/up0/rp_filter"
    ).split() == ["1", "2"]
    assert "169.254.7.7/16" in place.shell("ip addr show up0")


def test_resolver_hears_of_every_change(lan):
    lan.kill_daemon()
    resolver = Recorder()
    lan.controller = lan.start_daemon(resolver=resolver)
    create(lan, "first", "10.5.0.0/24")
    create(lan, "second", "10.6.0.0/24", internal=True)

    joined(lan, "box", EndpointSettings(network="first", aliases=("web",), links=(("db", "store"),)))
    joined(lan, "plain", "bridge")
    (known,) = resolver.known.values()
    assert (known.container_name, known.places[0].names, known.places[0].links) == (
        "box",
        ("box", "web"),
        (("db", "store"),),
    )
    assert known.places[0].ipv4 == ("10.5.0.2",)
    assert known.can_forward

    change(lan, "box", "second")
    assert resolver.places() == {"box": ["second"]}
    assert not next(iter(resolver.known.values())).can_forward
    lan.host.run(lambda: lan.controller.rename("box", "crate"))
    assert next(iter(resolver.known.values())).places[0].names[0] == "crate"

    lan.kill_daemon()
    resolver = Recorder()
    lan.controller = lan.start_daemon(resolver=resolver)
    assert resolver.places() == {"crate": ["second"]}
    change(lan, "box", "bridge")
    assert resolver.places() == {"box": []}
    lan.disconnect("box")
    assert resolver.known == {}


def test_resolv_conf_asks_us_from_the_first_network_with_names_on(lan):
    create(lan, "first", "10.5.0.0/24")
    joined(lan, "box", "bridge", dns=("9.9.9.9",))
    joined(lan, "edited", "bridge")
    path, edited = lan.directory / "box" / "resolv.conf", lan.directory / "edited" / "resolv.conf"
    assert "nameserver 9.9.9.9\n" in path.read_text()
    edited.write_text("nameserver 1.1.1.1\n")

    change(lan, "box", "bridge", "first", dns=("9.9.9.9",))
    change(lan, "edited", "bridge", "first")

    assert "nameserver 127.0.0.11\noptions ndots:0\n" in path.read_text()
    assert "ExtServers: [9.9.9.9]" in path.read_text()
    assert edited.read_text() == "nameserver 1.1.1.1\n"


def test_change_that_died_with_the_daemon_is_carried_out_or_undone(lan):
    create(lan, "first", "10.5.0.0/24")
    create(lan, "second", "10.6.0.0/24")
    _, place = joined(lan, "box", "first")
    sandboxes = lan.controller._sandboxes
    found = lan.controller.sandbox("box")

    def plan_only():
        request = lan.request("box", endpoints=(EndpointSettings(network="second"),))
        come = sandboxes._plan_endpoints(request, sandboxes._wanted(request), found.endpoints)
        sandboxes._around.journal.write(
            type(found)(
                **{f: getattr(found, f) for f in found.__struct_fields__} | {"endpoints": (*found.endpoints, *come)}
            )
        )

    lan.host.run(plan_only)
    lan.restart_daemon()
    lan.host.run(lambda: lan.controller.reconcile({"box"}))
    assert interfaces(place) == {"eth0": ["10.5.0.2"], "eth1": ["10.6.0.2"]}

    change(lan, "box", "first")
    settled(lan)
    assert interfaces(place) == {"eth0": ["10.5.0.2"]}
    assert "10.6.0.2" not in [e.ip_address for e in lan.controller.sandbox("box").endpoints]


def test_what_the_host_lost_is_made_again(lan, publish):
    made = create(lan, "first", "10.5.0.0/24")
    _, box = joined(lan, "box", "first", ports=[publish(80, 8080)])
    _, lost = joined(lan, "lost", "first")
    box.serve(80)
    lan.kill_daemon()
    lan.host.shell(f"ip link del {made.bridge_interface}")
    lan.host.shell(f"ip link del {lan.controller.sandbox('lost').endpoints[0].host_interface}")

    lan.controller = lan.start_daemon()
    changed = lan.host.run(lambda: lan.controller.reconcile({"box", "lost"}))

    assert any("interface of lost was missing" in note for note in changed)
    assert interfaces(lost) == {"eth0": ["10.5.0.3"]}
    assert default_route(lost) == [("10.5.0.1", "eth0")]
    assert lost.ask("10.5.0.2", 80, timeout=1) == "box 10.5.0.3"
    assert lan.neighbour.ask(HOST, 8080, timeout=1) == f"box {NEIGHBOUR}"
    assert lan.host.run(lambda: lan.controller.reconcile({"box", "lost"})) == []


def test_removal_that_died_with_the_daemon_is_carried_out(lan):
    made = create(lan, "first", "10.5.0.0/24")
    other = create(lan, "second", "10.6.0.0/24")
    lan.host.run(lambda: lan.controller._registry.retire(made))
    lan.host.run(lambda: lan.controller._registry.retire(other))
    lan.kill_daemon()
    lan.host.shell(f"ip link del {other.bridge_interface}")

    lan.controller = lan.start_daemon()
    create(lan, "first", "10.5.0.0/24")

    assert made.bridge_interface not in host_links(lan)
    lan.restart_daemon()
    assert lan.controller._registry.retired == []
    assert [network.name for network in lan.controller.networks()][-1] == "first"


def test_network_of_the_same_bridge_comes_back_at_once(lan):
    options = {"com.docker.network.bridge.name": "mine"}
    for _ in range(3):
        create(lan, "first", "10.5.0.0/24", options=options)
        _, place = joined(lan, "box", "first")
        assert reaches(place, "10.5.0.1")
        lan.leave(place)
        lan.disconnect("box")
        remove(lan, "first")
    assert "mine" not in host_links(lan)


def test_network_that_the_host_lost_is_removed_all_the_same(lan):
    made = create(lan, "first", "10.5.0.0/24")
    lan.host.shell(f"ip link del {made.bridge_interface} && nft flush ruleset")

    remove(lan, "first")

    with pytest.raises(errors.NotFound):
        lan.controller.network("first")


def test_half_made_network_of_a_killed_daemon_works_and_goes(lan):
    made = create(lan, "first", "10.5.0.0/24")
    lan.kill_daemon()
    lan.host.shell(f"ip addr flush dev {made.bridge_interface} && ip link set {made.bridge_interface} down")

    lan.controller = lan.start_daemon()
    _, place = joined(lan, "box", "first")

    assert reaches(place, "10.5.0.1")
    lan.leave(place)
    lan.disconnect("box")
    remove(lan, "first")
    assert made.bridge_interface not in host_links(lan)


def test_container_shares_the_hosts_network_only_when_it_was_made_for_it(lan):
    create(lan, "first", "10.5.0.0/24")

    for networks, refusal in (
        (("first", "host"), "cannot connect container to host network"),
        (("none", "first"), "private .none. mode"),
    ):
        with pytest.raises(errors.InvalidArgument, match=refusal):
            joined(lan, "box", *networks)
    assert lan.controller.sandbox("box") is None


def test_macvlan_stands_in_its_parents_network(lan):
    create(lan, "lan", "192.0.2.0/24", driver="macvlan", options={"parent": "lan0"})
    wish = EndpointSettings(network="lan", ip_address="192.0.2.77")
    for _ in range(2):  # at once again with the same MAC
        _, place = joined(lan, "box", wish)
        place.serve(80)
        assert lan.neighbour.ask("192.0.2.77", 80, timeout=1) == f"box {NEIGHBOUR}"
        assert default_route(place) == [("192.0.2.1", "eth0")]
        lan.disconnect("box")
    with pytest.raises(errors.Conflict, match="passthru"):
        create(lan, "more", "192.0.3.0/24", driver="macvlan", options={"parent": "lan0", "macvlan_mode": "passthru"})
    remove(lan, "lan")
    assert "lan0" in host_links(lan)


def test_many_changes_leave_nothing(lan, publish):
    create(lan, "first", "10.5.0.0/24")
    create(lan, "second", "10.6.0.0/24")
    joined(lan, "box", "first", ports=[publish(80, 8080)])
    change(lan, "box", "first", "second", ports=[publish(80, 8080)])
    change(lan, "box", "first", ports=[publish(80, 8080)])

    def state():
        files = sorted(str(path) for path in (lan.directory / "exec").rglob("*"))
        return files, host_links(lan), len(os.listdir("/proc/self/fd")), lan.host.shell("nft list table inet holdfast")

    before = state()
    for _ in range(25):
        change(lan, "box", "first", "second", ports=[publish(80, 8080)])
        change(lan, "box", "first", ports=[publish(80, 8080)])

    assert state() == before
    assert lan.controller.sandbox("box").endpoints[0].ip_address == "10.5.0.2"


def test_pools_and_the_range_of_the_default_bridge_are_the_daemons_options(lan):
    lan.kill_daemon()
    lan.host.shell("ip link del holdfast0")
    lan.controller = lan.start_daemon(
        bip="10.8.0.1/24", fixed_cidr="10.8.0.64/26", default_pools=(("10.9.0.0/16", 24), ("fd00:9::/48", 64))
    )

    attachment, _ = lan.connect("box")
    made = create(lan, "first")

    assert attachment.endpoints[0].ip_address == "10.8.0.64"
    assert made.pools[0].subnet == "10.9.0.0/24"
    assert create(lan, "second", "10.1.0.0/24 fd00:1::/64").ipv6.subnet == "fd00:1::/64"
