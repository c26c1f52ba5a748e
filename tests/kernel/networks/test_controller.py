# SPDX-License-Identifier: Apache-2.0
"""The controller on a real kernel: conflicts, restarts, leaks, modes."""

import json
import os
import time

import pytest

from holdfast import errors, networks
from holdfast.kernel import netns

HOST, NEIGHBOUR = "192.0.2.1", "192.0.2.2"


def host_links(lan):
    return {link["ifname"] for link in json.loads(lan.host.shell("ip -j link"))}


def host_state(lan):
    """Everything on the host that a container could leave behind."""
    rules = json.loads(lan.host.shell("nft -j list table inet holdfast"))["nftables"]
    return {
        "links": host_links(lan),
        "mounts": lan.host.shell(f"grep -c {lan.directory} /proc/thread-self/mountinfo || true"),
        "maps": [item["map"].get("elem") for item in rules if "map" in item],
        "files": sorted(str(path) for path in (lan.directory / "exec").rglob("*")),
    }


def wait_until(condition):
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_disconnect_leaves_nothing(lan, publish):
    lan.connect("warm-up")
    lan.leave(lan._places[-1])
    lan.disconnect("warm-up")
    assert wait_until(lambda: not any(name.startswith("veth") for name in host_links(lan)))
    before = host_state(lan)

    for _ in range(3):
        _, place = lan.connect("one", ports=[publish(80, 8080), publish(53, 53, protocol="udp"), publish(81)])
        lan.leave(place)
        lan.disconnect("one")
        lan.disconnect("one")

    assert wait_until(lambda: host_state(lan) == before), host_state(lan)
    assert lan.controller.statistics() == {"networks": 3, "sandboxes": 0, "ports": 0}


def test_address_is_the_lowest_free_one_and_works_at_once_for_its_next_owner(lan, publish):
    for name in ("first", "second", "third"):
        attachment, place = lan.connect(name, ports=[publish(80, 8080)])
        place.serve(80)

        assert attachment.endpoints[0].ip_address == "172.17.0.2"
        assert lan.neighbour.ask(HOST, 8080, timeout=1) == f"{name} {NEIGHBOUR}"
        lan.disconnect(name)


def test_taken_port_is_refused_in_dockers_words(lan, publish):
    lan.connect("web", ports=[publish(80, 8080)])

    with pytest.raises(errors.Exhausted) as refusal:
        lan.connect("late", ports=[publish(79, 8079), publish(80, 8080)])

    assert "driver failed programming external connectivity on endpoint late (" in refusal.value.message
    assert refusal.value.message.endswith("): Bind for 0.0.0.0:8080 failed: port is already allocated")
    lan.connect("fits", ports=[publish(79, 8079)])


def test_port_of_a_foreign_program_is_refused(lan, publish):
    lan.host.serve(8077, address="127.0.0.1")

    with pytest.raises(errors.Exhausted) as refusal:
        lan.connect("late", ports=[publish(80, 8077)])

    assert refusal.value.message.endswith(
        "failed to bind host port for 0.0.0.0:8077:172.17.0.2:80/tcp: address already in use"
    )


def test_foreign_program_does_not_get_a_published_port(lan, publish):
    lan.connect("web", ports=[publish(80, 8080)])

    with pytest.raises(OSError, match="Address already in use"):
        lan.host.serve(8080)


def test_address_of_another_host_is_refused(lan, publish):
    with pytest.raises(errors.Exhausted, match="cannot assign requested address"):
        lan.connect("web", ports=[publish(80, 8080, host_ip="203.0.113.9")])


def test_ports_and_addresses_outlive_the_daemon(lan, publish):
    _, web = lan.connect("web", ports=[publish(80, 8080)])
    web.serve(80)

    lan.kill_daemon()
    assert lan.neighbour.ask(HOST, 8080) == f"web {NEIGHBOUR}"
    assert lan.host.ask("127.0.0.1", 8080) is not None

    lan.controller = lan.start_daemon()
    assert lan.notes == []
    assert lan.neighbour.ask(HOST, 8080) == f"web {NEIGHBOUR}"
    attachment, _ = lan.connect("next")
    assert attachment.endpoints[0].ip_address == "172.17.0.3"
    with pytest.raises(errors.Exhausted, match="port is already allocated"):
        lan.connect("late", ports=[publish(80, 8080)])
    assert lan.controller.sandbox("web").ports[0].host_port == 8080


def test_restart_changes_no_rule_that_is_right(lan, publish):
    lan.connect("web", ports=[publish(80, 8080), publish(81, 8081, host_ip=HOST), publish(53, 53, protocol="udp")])
    before = lan.host.shell("nft list table inet holdfast")

    lan.restart_daemon()

    assert lan.host.run(lambda: lan.controller._host.synchronise(lan.controller._sandboxes)) == []
    assert lan.host.shell("nft list table inet holdfast") == before


def test_restart_takes_down_what_died_meanwhile(lan, publish):
    _, place = lan.connect("dead", ports=[publish(80, 8080)])
    _, alive = lan.connect("alive", ports=[publish(80, 8081)])
    alive.serve(80)
    lan.leave(place)

    lan.restart_daemon()
    removed = lan.host.run(lambda: lan.controller.reconcile({"alive"}))

    assert "dead" in removed
    assert wait_until(lambda: len([name for name in host_links(lan) if name.startswith("veth")]) == 1)
    assert lan.neighbour.ask(HOST, 8081) is not None
    lan.connect("again", ports=[publish(80, 8080)])


@pytest.mark.parametrize("stage", ["journal", "netns", "veth", "ports"])
def test_sandbox_that_was_half_made_when_the_daemon_died_is_cleaned_up(lan, publish, stage):
    controller, request = lan.controller, lan.request("half", ports=[publish(80, 8080)])

    def make_half():
        sandboxes = controller._sandboxes
        planned = sandboxes._plan(request)
        sandboxes._around.journal.write(planned)
        if stage == "journal":
            return
        with netns.create(planned.netns_path) as space:
            if stage == "netns":
                return
            endpoint = planned.endpoints[0]
            network = controller.network("bridge")
            controller._drivers["bridge"].join(network, endpoint, space)
        if stage == "ports":
            sandboxes._openings.open(planned)

    lan.host.run(make_half)
    lan.restart_daemon()
    lan.host.run(lambda: lan.controller.reconcile(set()))

    assert wait_until(lambda: not any(name.startswith("veth") for name in host_links(lan)))
    assert list((lan.directory / "exec" / "netns").iterdir()) == []
    assert "8080" not in lan.host.shell("nft list table inet holdfast")
    attachment, _ = lan.connect("next", ports=[publish(80, 8080)])
    assert attachment.endpoints[0].ip_address == "172.17.0.2"


def test_publishing_mends_a_table_that_was_flushed(lan, publish):
    _, web = lan.connect("web", ports=[publish(80, 8080)])
    web.serve(80)
    lan.host.shell("nft flush ruleset")
    assert lan.neighbour.ask(HOST, 8080) is None

    _, late = lan.connect("late", ports=[publish(80, 8081)])
    late.serve(80)

    assert lan.neighbour.ask(HOST, 8080) == f"web {NEIGHBOUR}"
    assert lan.neighbour.ask(HOST, 8081) == f"late {NEIGHBOUR}"


def test_damaged_record_hides_no_other(lan):
    lan.connect("good")
    (lan.directory / "exec" / "networks" / "sandboxes" / "bad.json").write_bytes(b"{")

    lan.restart_daemon()

    assert lan.notes == ["network state of container bad is damaged"]
    assert lan.controller.sandbox("good") is not None


def test_container_has_loopback_address_route_and_no_link_local_address(lan):
    _, place = lan.connect("one")

    addresses = place.shell("ip -br addr show eth0").split()
    assert addresses[1:] == ["UP", "172.17.0.2/16"]
    assert place.shell("ip route show default").split()[:5] == ["default", "via", "172.17.0.1", "dev", "eth0"]
    assert "127.0.0.1/8" in place.shell("ip -br addr show lo")
    assert "02:42:ac:11:00:02" in place.shell("ip link show eth0")


def test_none_has_only_loopback(lan):
    attachment, place = lan.connect("alone", mode="none")

    assert {link["ifname"] for link in json.loads(place.shell("ip -j link show up"))} == {"lo"}
    assert [endpoint.network_name for endpoint in attachment.endpoints] == ["none"]
    assert attachment.ports == ()


def test_host_mode_has_no_namespace_of_its_own(lan, publish):
    request = lan.request("guest", mode="host", ports=[publish(80, 8080)])
    attachment = lan.host.run(lambda: lan.controller.connect(request))

    assert attachment.netns_path is None
    assert attachment.ports == ()
    assert [member.name for member in lan.controller.members(lan.controller.network("host").network_id)] == ["guest"]
    lan.disconnect("guest")


def test_container_mode_shares_the_others_namespace(lan):
    attachment, _ = lan.connect("owner")
    shared = lan.host.run(lambda: lan.controller.connect(lan.request("guest", mode="container:owner")))

    assert shared.netns_path == attachment.netns_path
    with pytest.raises(errors.Conflict, match="cannot join network of a non running container: nobody"):
        lan.host.run(lambda: lan.controller.connect(lan.request("guest", mode="container:nobody")))


def test_unknown_network_is_named_and_leaves_nothing(lan):
    with pytest.raises(errors.NotFound, match="network nosuch not found"):
        lan.connect("lost", mode="nosuch")

    assert lan.controller.statistics()["sandboxes"] == 0


def test_files_name_the_container_and_the_hosts_resolvers(lan):
    attachment, _ = lan.connect("one", extra_hosts=("db:10.1.1.1", "up:host-gateway"), dns=("9.9.9.9",))

    hosts = attachment.hosts_path.read_text()
    assert "172.17.0.2\tone\n" in hosts
    assert "10.1.1.1\tdb\n" in hosts
    assert "172.17.0.1\tup\n" in hosts
    assert "nameserver 9.9.9.9\n" in attachment.resolv_conf_path.read_text()
    assert attachment.hostname_path.read_text() == "one\n"


def test_default_subnet_avoids_the_hosts_routes(tmp_path, lan):
    lan.kill_daemon()
    lan.host.shell(
        "ip link del holdfast0 && ip addr add 172.17.5.1/24 dev lan0 && ip route add 172.18.0.0/15 via 192.0.2.2"
    )

    lan.controller = lan.start_daemon()

    assert lan.controller.network("bridge").ipv4.subnet == "172.20.0.0/16"


def test_bip_is_the_bridges_address(lan):
    lan.kill_daemon()
    lan.controller = lan.start_daemon(bridge="hold1", bip="10.99.0.1/24")

    attachment, place = lan.connect("one")

    assert attachment.endpoints[0].ip_address == "10.99.0.2"
    lan.host.serve(5000)
    assert place.ask("10.99.0.1", 5000) is not None


def test_fifty_starts_keep_descriptors_level(lan):
    before = len(os.listdir("/proc/self/fd"))

    for number in range(50):
        lan.host.run(lambda number=number: lan.controller.connect(lan.request(f"c{number}")))
        lan.disconnect(f"c{number}")

    assert len(os.listdir("/proc/self/fd")) == before


def test_network_that_was_made_ahead_is_as_good_as_one_made_on_demand(lan):
    seen = []
    for name in ("on-demand", "ahead"):
        attachment, place = lan.connect(name)
        place.serve(80)
        links = "ip -br link | cut -d@ -f1 && ip -br -6 address && ip route | cut -d' ' -f1-4"
        seen.append(place.shell(links))
        assert os.path.basename(attachment.netns_path) in os.listdir(lan.directory / "exec" / "netns")
        assert lan.host.ask(attachment.endpoints[0].ip_address, 80) is not None
        lan.host.run(lan.controller.prepare)

    assert seen[0] == seen[1]


def test_network_made_ahead_leaves_nothing_when_the_daemon_ends_or_a_connect_fails(lan, publish):
    before, state = len(os.listdir("/proc/self/fd")), host_state(lan)

    lan.host.run(lan.controller.prepare)
    lan.host.run(lan.controller.prepare)
    assert host_state(lan) == state
    with pytest.raises(errors.NotFound):
        lan.connect("one", mode="nosuch")
    (lan.directory / "not-a-directory").touch()
    with pytest.raises(OSError, match="Not a directory"):
        lan.host.run(
            lambda: lan.controller.connect(
                networks.ConnectRequest(
                    container_id="two", name="two", hostname="two", directory=lan.directory / "not-a-directory"
                )
            )
        )
    assert wait_until(lambda: host_state(lan) == state), host_state(lan)
    assert len(os.listdir("/proc/self/fd")) == before

    lan.host.run(lan.controller.prepare)
    lan.restart_daemon()
    assert lan.host.run(lambda: lan.controller.reconcile(set())) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_containers_own_sysctls_are_written_though_a_network_was_made_ahead(lan):
    lan.host.run(lan.controller.prepare)

    _, place = lan.connect("one", sysctls=(("ipv4/ip_unprivileged_port_start", "7"),))

    assert place.shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start").strip() == "7"


def test_new_name_is_kept_over_a_restart(lan):
    lan.connect("old")
    lan.host.run(lambda: lan.controller.rename("old", "new"))

    lan.restart_daemon()

    network_id = lan.controller.network("bridge").network_id
    assert [member.name for member in lan.controller.members(network_id)] == ["new"]
