# SPDX-License-Identifier: Apache-2.0
"""Our netlink messages against `ip -j` as the oracle, in a network namespace of the test's own."""

import errno
import json
import os
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from holdfast.kernel import netlink, netns, rtnetlink
from holdfast.kernel.syscalls import MOUNT, UNSHARE, call

MS_REC_PRIVATE = 0x44000


@pytest.fixture
def elsewhere():
    """run(function): runs it in a thread with its own network and mount namespaces."""
    thread = ThreadPoolExecutor(max_workers=1)

    def move():
        call(UNSHARE, 0x40020000)
        call(MOUNT, b"none", b"/", None, MS_REC_PRIVATE, None)

    thread.submit(move).result()
    yield lambda function: thread.submit(function).result(timeout=20)
    thread.shutdown()


def ip(*arguments):
    return json.loads(subprocess.run(["ip", "-j", *arguments], capture_output=True, check=True).stdout or b"[]")


def bridge_index(links, name="br0"):
    links.execute(rtnetlink.create_bridge(name, mtu=1400, mac="02:42:00:00:00:09"))
    return rtnetlink.parse_link(links.ask(rtnetlink.get_link(name))).ifindex


def test_links_addresses_and_routes_are_what_ip_shows(elsewhere):
    def check():
        with netlink.Socket() as links:
            index = bridge_index(links)
            links.execute(
                rtnetlink.set_link(1, is_up=True),
                rtnetlink.add_address(index, "10.1.0.1", 16, broadcast="10.1.255.255"),
                rtnetlink.add_route("10.1.0.9", destination="10.7.0.0", prefix_length=16, index=index),
                rtnetlink.add_neighbour(index, "10.1.0.9", "02:42:0a:01:00:09"),
            )
            ours = {link.name: link for link in map(rtnetlink.parse_link, links.dump(rtnetlink.get_links()))}
            addresses = [rtnetlink.parse_address(payload) for payload in links.dump(rtnetlink.get_addresses())]
            routes = [rtnetlink.parse_route(payload) for payload in links.dump(rtnetlink.get_routes())]

        theirs = {link["ifname"]: link for link in ip("-d", "link")}
        assert set(ours) == set(theirs)
        for name, link in ours.items():
            expected = theirs[name]
            assert (link.ifindex, link.mac, link.mtu) == (expected["ifindex"], expected["address"], expected["mtu"])
            assert link.is_up == ("UP" in expected["flags"])
        assert ours["br0"].kind == "bridge"
        shown = {(a["ifindex"], i["local"], i["prefixlen"]) for a in ip("-4", "addr") for i in a["addr_info"]}
        assert set(addresses) == shown
        assert {(r.destination, r.gateway) for r in routes if r} == {
            (r["dst"].partition("/")[0], r.get("gateway", "")) for r in ip("route")
        }
        assert [n["lladdr"] for n in ip("neigh") if n["state"] == ["PERMANENT"]] == ["02:42:0a:01:00:09"]

    elsewhere(check)


def test_veth_is_born_in_the_other_namespace(elsewhere, tmp_path):
    def check():
        path = str(tmp_path / "one")
        with netlink.Socket() as links, netns.create(path) as space:
            master = bridge_index(links)
            links.execute(
                rtnetlink.create_veth(
                    "veth1",
                    peer_name="eth0",
                    peer_mac="02:42:ac:11:00:02",
                    peer_netns_fd=space.fd,
                    master=master,
                    mtu=1400,
                )
            )
            inside = rtnetlink.parse_link(space.links.ask(rtnetlink.get_link("eth0")))
            outside = rtnetlink.parse_link(links.ask(rtnetlink.get_link("veth1")))

            assert (inside.mac, inside.mtu, inside.is_up) == ("02:42:ac:11:00:02", 1400, False)
            assert (outside.master, outside.kind, outside.is_up) == (master, "veth", True)
        netns.remove(path)

    elsewhere(check)


def test_disabled_bridge_port_has_forgotten_its_addresses(elsewhere, tmp_path):
    def check():
        path = str(tmp_path / "one")
        with netlink.Socket() as links, netns.create(path) as space:
            master = bridge_index(links)
            links.execute(
                rtnetlink.create_veth(
                    "veth1", peer_name="eth0", peer_mac="", peer_netns_fd=space.fd, master=master, mtu=1500
                ),
                rtnetlink.reflect_on_bridge_port("veth1"),
            )
            inside = rtnetlink.parse_link(space.links.ask(rtnetlink.get_link("eth0"))).ifindex
            space.links.execute(rtnetlink.set_link(inside, is_up=True))
            link = rtnetlink.parse_link(links.ask(rtnetlink.get_link("veth1")))
            while not link.is_operational:
                link = rtnetlink.parse_link(links.ask(rtnetlink.get_link("veth1")))
            subprocess.run("bridge fdb add 02:00:00:00:00:07 dev veth1 master dynamic", shell=True, check=True)

            links.execute(rtnetlink.disable_bridge_port(link.ifindex))

        shown = json.loads(subprocess.run(["bridge", "-j", "-d", "link"], capture_output=True, check=True).stdout)
        assert (shown[0]["state"], shown[0]["hairpin"]) == ("disabled", True)
        table = subprocess.run(["bridge", "fdb"], capture_output=True, check=True, text=True).stdout
        assert "02:00:00:00:00:07" not in table
        netns.remove(path)

    elsewhere(check)


def test_refusal_names_errno_place_and_the_kernels_words(elsewhere):
    def check():
        with netlink.Socket() as links, pytest.raises(netlink.NetlinkError) as refusal:
            links.execute(
                rtnetlink.create_bridge("fine", mtu=1500),
                rtnetlink.create_bridge("a-name-that-is-too-long", mtu=1500),
                rtnetlink.delete_link("nosuch"),
            )
        assert refusal.value.index == 1
        assert refusal.value.errno in (errno.ERANGE, errno.EINVAL)
        assert [link["ifname"] for link in ip("link") if link["ifname"] == "fine"] == ["fine"]

    elsewhere(check)


def test_events_tell_of_a_new_link(elsewhere):
    def check():
        with netlink.Socket(groups=rtnetlink.GROUP_LINK) as events, netlink.Socket() as links:
            links.execute(rtnetlink.create_bridge("br7", mtu=1500))
            names = [rtnetlink.parse_link(p).name for kind, p in events.wait_events() if kind == rtnetlink.NEWLINK]
        assert "br7" in names

    elsewhere(check)


def test_namespace_lives_by_its_name_and_the_thread_comes_home(elsewhere, tmp_path):
    def check():
        path = str(tmp_path / "one")
        home = os.readlink("/proc/thread-self/ns/net")
        netns.create(path, sysctls=(("ipv4/ip_unprivileged_port_start", "7"),)).close()

        assert os.readlink("/proc/thread-self/ns/net") == home
        with netns.enter(path) as space:
            assert next(rtnetlink.parse_link(p).name for p in space.links.dump(rtnetlink.get_links())) == "lo"
        with pytest.raises(OSError, match="File exists"):
            netns.create(path)
        assert os.readlink("/proc/thread-self/ns/net") == home
        command = ["nsenter", f"--net={path}", "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"7\n"
        netns.remove(path)
        netns.remove(path)
        assert not os.path.exists(path)

    elsewhere(check)


def test_failed_creation_leaves_neither_file_nor_mount(elsewhere, tmp_path):
    def check():
        path = str(tmp_path / "one")
        with pytest.raises(OSError):
            netns.create(path, sysctls=(("ipv4/nosuch", "1"),))
        assert list(tmp_path.iterdir()) == []
        assert threading.current_thread().is_alive()

    elsewhere(check)


def test_macvlan_is_born_in_the_other_namespace_and_ipv6_counts_at_once(elsewhere, tmp_path):
    def check():
        path = str(tmp_path / "inner")
        with netlink.Socket() as links, netns.create(path) as inner:
            parent = bridge_index(links)
            for mode in rtnetlink.MACVLAN_MODES:
                request = rtnetlink.create_macvlan(
                    "eth0", parent=parent, mode=mode, netns_fd=inner.fd, mtu=1300, mac="02:42:00:00:00:08"
                )
                links.execute(request)
                shown = enter_and_show(path, "-d", "link", "show", "eth0")[0]
                own = (
                    "02:42:00:00:00:09" if mode == "passthru" else "02:42:00:00:00:08"
                )  # that one is its parent's twin
                assert (shown["mtu"], shown["address"]) == (1300, own)
                assert shown["linkinfo"]["info_data"]["mode"] == mode
                inner.links.execute(rtnetlink.delete_link("eth0"))
            netns.write_sysctl("ipv6/conf/br0/disable_ipv6", "0")
            links.execute(rtnetlink.add_address(parent, "fd00::1", 64))
        (bridge,) = ip("-6", "addr", "show", "br0", "scope", "global")
        assert [(a["local"], a.get("nodad"), a.get("tentative")) for a in bridge["addr_info"]] == [
            ("fd00::1", True, None)
        ]
        netns.remove(path)

    elsewhere(check)


def enter_and_show(path, *arguments):
    done = subprocess.run(["nsenter", f"--net={path}", "ip", "-j", *arguments], capture_output=True, check=True)
    return json.loads(done.stdout)


def test_default_route_may_name_the_link_alone_and_is_replaced(elsewhere):
    def check():
        with netlink.Socket() as links:
            index = bridge_index(links)
            links.execute(rtnetlink.add_address(index, "10.1.0.1", 16), rtnetlink.add_device_route(index, ipv6=False))
            assert [(r["dev"], r.get("gateway"), r["scope"]) for r in ip("route", "show", "default")] == [
                ("br0", None, "link")
            ]
            links.execute(rtnetlink.add_route("10.1.0.9"))
        assert [r.get("gateway") for r in ip("route", "show", "default")] == ["10.1.0.9"]

    elsewhere(check)


@pytest.mark.parametrize(
    ("request_", "kind", "data"),
    [
        (rtnetlink.create_vlan("up.7", parent=3, vlan_id=7), "vlan", {"IFLA_VLAN_ID": 7}),
        (
            rtnetlink.create_ipvlan("eth0", parent=3, mode="l3s", flag="private", netns_fd=5, mtu=1400),
            "ipvlan",
            {"IFLA_IPVLAN_MODE": 2},
        ),
        (rtnetlink.create_dummy("dm-1"), "dummy", {}),
    ],
)
def test_links_that_this_kernel_may_lack_are_what_pyroute2_reads(request_, kind, data):
    kernel_type, _flags, payload = request_
    message = ifinfmsg(struct.pack("=IHHII", 16 + len(payload), kernel_type, 0, 0, 0) + payload)
    message.decode()

    info = message.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == kind
    found = info.get_attr("IFLA_INFO_DATA")
    assert {name: found.get_attr(name) for name in data} == data
    assert message.get_attr("IFLA_LINK") == (None if kind == "dummy" else 3)
