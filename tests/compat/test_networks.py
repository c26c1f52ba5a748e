# SPDX-License-Identifier: Apache-2.0
"""User-defined networks say and do the same on dockerd and on Holdfast: create, inspect, connect, disconnect, errors.

Every case has subnets of its own: dockerd keeps the subnet of a network whose creation failed.
"""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, Difference, answer, compare, verdict

IMAGE = "busybox:1.37.0-musl"
# everything but what differs by nature: ids, times, generated ULA prefixes
SHOW = "docker network inspect %s | jq -c '.[0]|del(.Id,.Created,.Containers)'"
NETWORKS = "jq -c 'map_values(del(.MacAddress,.EndpointID,.NetworkID))'"
API = (
    'api() { curl -s -w "[%%{http_code}]" --unix-socket $SOCKET -X $1 -H "Content-Type: application/json" '
    'http://d/v1.50$2 -d "$3" | tr -d "\\n"; echo; }; '
).replace("%%", "%")
NEVER_500 = "dockerd answers 500 where the caller is wrong; Holdfast never does"


def shown(name: str, flags: str) -> Case:
    """`docker network create` with flags, as inspect shows the network."""
    network = "n" + "".join(part for part in name if part.isalnum())
    return Case(
        f"create: {name}",
        f"docker network create {flags} {network} >/dev/null && {SHOW % network}; docker network rm {network}",
    )


def refused(name: str, flags: str, *differs: Difference) -> Case:
    """`docker network create` that must fail, with the words."""
    network = "r" + "".join(part for part in name if part.isalnum())
    script = f"docker network create {flags} {network}; docker network ls -qf name={network}"
    return Case(f"refused: {name}", script, differs=differs)


def posted(name: str, body: str, *differs: Difference) -> Case:
    """A create body over the bare API: status and words."""
    return Case(f"api: {name}", f"{API} api POST /networks/create '{body}'", differs=differs)


CREATION = [
    shown("subnet", "--subnet 10.100.0.0/24"),
    shown(
        "everything of a subnet",
        "--subnet 10.100.1.0/24 --gateway 10.100.1.9 --ip-range 10.100.1.128/25 --aux-address a=10.100.1.130 "
        "--label x=y --attachable",
    ),
    shown("dual stack with subnets", "--subnet fd00:a::/64 --subnet 10.100.2.0/24 --ipv6"),
    shown("an ipv6 subnet without ipv6", "--subnet 10.100.3.0/24 --subnet fd00:b::/64"),
    shown("ipv6 only", "--subnet fd00:c::/64 --ipv6 --ipv4=false"),
    shown("internal", "--internal --subnet 10.100.4.0/24"),
    shown("isolated", "--internal --subnet 10.100.5.0/24 -o com.docker.network.bridge.gateway_mode_ipv4=isolated"),
    shown("unknown options", "--subnet 10.100.6.0/24 -o some.thing=1 --ipam-opt foo=bar --scope local"),
    Case(
        "create: a subnet of the default pools",
        "docker network create nd >/dev/null; docker network inspect nd "
        '| jq -c \'.[0].IPAM.Config[0] | (.Subnet|endswith(".0.0/16")), (.Gateway|endswith(".0.1"))\'; docker network rm nd',
    ),
    Case(
        "create: ULA by default",
        "docker network create --ipv6 nu >/dev/null; docker network inspect nu | jq -r '.[0].IPAM.Config[1]|.Subnet,.Gateway' "
        "| sed -E 's/^fd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}(:[0-9a-f]+)?::/ULA::/'; docker network rm nu",
    ),
    Case(
        "config-only and config-from",
        "docker network create --config-only --subnet 10.100.7.0/24 --label a=b -o com.docker.network.driver.mtu=1400 conf;"
        f"{SHOW % 'conf'}; docker network create --config-from conf real >/dev/null; {SHOW % 'real'};"
        "docker network rm conf; docker network create --config-from conf --subnet 10.100.8.0/24 x;"
        "docker network create --config-from conf -o a=b x; docker network create --config-only --config-from conf x;"
        f"docker run --rm --network real {IMAGE} cat /sys/class/net/eth0/mtu; docker network rm real; docker network rm conf",
    ),
    Case(
        "link-local IPv6 and a gateway in it",
        "docker network create --ipv6 --subnet 10.100.14.0/24 --subnet fe80::/64 ll >/dev/null;"
        f"docker run --rm --network ll {IMAGE} sh -c 'ip -6 route | grep -o \"default via [^ ]* dev [^ ]*\"; ping -6 -c1 -W2 fe80::1%eth0 | grep -c ttl';"
        "docker network rm ll",
    ),
    Case(
        "a container that switches IPv6 off",
        "docker network create --ipv6 --subnet 10.100.15.0/24 --subnet fd00:f::/64 no6 >/dev/null; docker run -d --name no6c --network no6 "
        f"--sysctl net.ipv6.conf.all.disable_ipv6=1 -h box {IMAGE} sleep 60 >/dev/null;"
        "docker inspect no6c | jq -c '.[0].NetworkSettings.Networks.no6|[.IPAddress,.GlobalIPv6Address,.GlobalIPv6PrefixLen,.IPv6Gateway]';"
        f"docker exec no6c cat /etc/hosts; docker run --rm --network no6 {IMAGE} ping -6 -c1 -W1 no6c 2>&1; docker rm -f no6c; docker network rm no6",
    ),
    Case(
        "ports of a network in which one family is routed",
        "for family in 4 6; do docker network create --ipv6 -o com.docker.network.bridge.gateway_mode_ipv$family=routed rt >/dev/null;"
        f"docker run -d --name rtc --network rt -p 18610:80 -p 127.0.0.1:18611:80 {IMAGE} sleep 60 >/dev/null;"
        "docker inspect rtc | jq -c '.[0].NetworkSettings.Ports'; docker rm -f rtc; docker network rm rt; done",
    ),
    Case("list with a slash", f"{API} api GET /networks/ | tail -c 6"),
    Case(
        "names and filters of ls",
        "docker network create --label a=1 --subnet 10.100.9.0/24 ls-one >/dev/null; docker network create --internal "
        "--subnet 10.100.10.0/24 ls-two >/dev/null;"
        "for f in name=ls- label=a label=a=2 driver=bridge driver=null type=custom type=builtin scope=local scope=swarm "
        "dangling=true dangling=false name=ls-one; do echo $f; docker network ls --format '{{.Name}} {{.Driver}} {{.Scope}} "
        "{{.IPv6}} {{.Internal}} {{.Labels}}' -f $f | grep -v '^n' ; done; docker network ls -f foo=bar; docker network rm ls-one ls-two",
    ),
    Case(
        "prune by label and age",
        "docker network create --label keep --subnet 10.100.11.0/24 pr-one >/dev/null; docker network create --label p=1 --subnet "
        "10.100.12.0/24 pr-two >/dev/null; docker network prune -f --filter until=1h --filter label=p;"
        "docker network prune -f --filter label=p; docker network prune -f --filter label!=keep --filter label=keep;"
        "docker network prune -f --filter foo=bar; docker network ls --format '{{.Name}}' -f name=pr-; docker network rm pr-one",
    ),
    Case(
        "events",
        "begin=$(date +%s); docker network create --subnet 10.100.13.0/24 ev >/dev/null; "
        f"docker run -d --name evc --network ev {IMAGE} sleep 60 >/dev/null; docker network disconnect ev evc;"
        "docker network connect ev evc; docker rm -f evc >/dev/null; docker network rm ev >/dev/null; sleep 1.1;"
        "docker events --since $begin --until $(date +%s) --filter type=network --filter network=ev "
        "--format '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}} {{len .Actor.Attributes.container}}'",
    ),
]
REFUSALS = [
    refused("overlap", "--subnet 172.17.0.0/16"),
    refused("host bits", "--subnet 10.101.0.1/24"),
    refused("gateway outside", "--subnet 10.101.0.0/24 --gateway 10.102.0.1"),
    refused("no subnet", "--subnet foo"),
    refused("two subnets on a bridge", "--subnet 10.101.1.0/24 --subnet 10.101.2.0/24"),
    refused("no family", "--ipv4=false"),
    refused("unknown driver", "--driver nosuch"),
    refused("a second host network", "--driver host"),
    refused("a second none network", "--driver null"),
    refused("overlay without swarm", "--driver overlay"),
    refused("ingress", "--ingress"),
    refused("swarm scope", "--scope swarm"),
    refused("config-from nothing", "--config-from nosuch"),
    refused("internal template", "--config-only --internal"),
    refused("unknown ipam driver", "--ipam-driver foo"),
    refused("isolated but not internal", "-o com.docker.network.bridge.gateway_mode_ipv4=isolated"),
    refused("gateway mode", "-o com.docker.network.bridge.gateway_mode_ipv6=foo"),
    refused("icc", "-o com.docker.network.bridge.enable_icc=foo"),
    refused("mtu", "-o com.docker.network.driver.mtu=foo"),
    refused("binding", "-o com.docker.network.bridge.host_binding_ipv4=foo"),
    refused("macvlan mode", "-d macvlan -o macvlan_mode=foo"),
    refused("macvlan on nothing", "-d macvlan --subnet 10.101.3.0/24 -o parent=nosuch"),
    refused("macvlan on loopback", "-d macvlan --subnet 10.101.4.0/24 -o parent=lo"),
    refused("ipvlan mode", "-d ipvlan -o ipvlan_mode=foo"),
    Case(
        "refused: names",
        "docker network create tw --subnet 10.101.5.0/24 >/dev/null; docker network create tw; docker network create bridge;"
        "docker network create default; docker network create ''; docker network rm tw bridge nosuch; docker network rm -f nosuch;"
        "docker network inspect nosuch",
    ),
    posted("an empty body", "{}"),
    posted("predefined", '{"Name":"host"}'),
    posted("prefix length", '{"Name":"nb","IPAM":{"Config":[{"Subnet":"10.0.0.0/99"}]}}'),
    posted(
        "several faults",
        '{"Name":"nb","IPAM":{"Config":[{"Subnet":"10.102.0.0/24","Gateway":"foo","AuxiliaryAddresses":{"a":"1.2.3.4"}}]}}',
    ),
    posted("gateway alone", '{"Name":"nb","IPAM":{"Config":[{"Gateway":"10.92.0.1"}]}}'),
    posted("range too big", '{"Name":"nb","IPAM":{"Config":[{"Subnet":"10.102.1.0/30","IPRange":"10.102.1.0/29"}]}}'),
    posted("range elsewhere", '{"Name":"nb","IPAM":{"Config":[{"Subnet":"10.102.1.0/30","IPRange":"10.102.2.0/30"}]}}'),
    posted("range of ipv6", '{"Name":"nb","IPAM":{"Config":[{"Subnet":"10.102.1.0/30","IPRange":"fd00::/120"}]}}'),
    posted("the whole world", '{"Name":"nb","IPAM":{"Config":[{"Subnet":"0.0.0.0/0"}]}}'),
    posted("a multicast subnet", '{"Name":"nb","EnableIPv6":true,"IPAM":{"Config":[{"Subnet":"ff00::/8"}]}}'),
    posted("a zone", '{"Name":"nb","EnableIPv6":true,"IPAM":{"Config":[{"Subnet":"fd00:9::%eth0/64"}]}}'),
    posted("a length with a zero", '{"Name":"nb","IPAM":{"Config":[{"Subnet":"10.102.5.0/024"}]}}'),
    posted("no addresses for a bridge", '{"Name":"nb","IPAM":{"Driver":"null"}}'),
    posted("an option for ipv6", '{"Name":"nb","Options":{"com.docker.network.enable_ipv6":"x"}}'),
    posted("a mode without a name", '{"Name":"nb","Options":{"com.docker.network.bridge.gateway_mode_ipv4":""}}'),
    posted(
        "an interface name of the kernel's own",
        '{"Name":"nb","Options":{"com.docker.network.bridge.name":"all"}}',
        Difference(
            r'\{"message":"invalid argument"\}\[500\]',
            '{"message":"failed to parse com.docker.network.bridge.name value: all (invalid interface name)"}[400]',
            NEVER_500,
        ),
    ),
    posted("no such template", '{"Name":"nb","ConfigFrom":{"Network":"nope"}}'),
    posted(
        "a long interface name",
        '{"Name":"nb","Options":{"com.docker.network.bridge.name":"thisnameistoolongforlinux"}}',
        Difference(
            r'\{"message":"numerical result out of range"\}\[500\]',
            '{"message":"failed to parse com.docker.network.bridge.name value: thisnameistoolongforlinux '
            '(invalid interface name)"}[400]',
            NEVER_500,
        ),
    ),
    posted(
        "mtu out of range",
        '{"Name":"nb","Options":{"com.docker.network.driver.mtu":"70000"}}',
        Difference(
            r'\{"message":"invalid argument"\}\[500\]',
            '{"message":"failed to parse com.docker.network.driver.mtu value: 70000 (it must be between 68 and 65535)"}[400]',
            NEVER_500,
        ),
    ),
    posted(
        "the network's own address as gateway",
        '{"Name":"nb","IPAM":{"Config":[{"Subnet":"10.102.3.0/24","Gateway":"10.102.3.0"}]}}',
        Difference(r"\[500\]", "[400]", NEVER_500),
    ),
    posted(
        "the gateway's address kept for another",
        '{"Name":"nb","IPAM":{"Config":[{"Subnet":"10.102.4.0/24","AuxiliaryAddresses":{"a":"10.102.4.1"}}]}}',
        Difference(r"\[500\]", "[400]", NEVER_500),
    ),
    Case(
        "api: routes without an object",
        f"{API} api DELETE /networks/bridge; api DELETE /networks/nosuch; api GET /networks/nosuch;"
        'api POST /networks/nosuch/connect \'{"Container":"x"}\'; api POST /networks/bridge/disconnect \'{"Container":"x"}\';'
        "api POST /networks/prune; api POST '/networks/prune?filters=%7B%22foo%22%3A%5B%22x%22%5D%7D';"
        "api GET '/networks?filters=%7B%22foo%22%3A%5B%22x%22%5D%7D'; api GET '/networks/bridge?scope=swarm';"
        "api GET '/networks/bridge?verbose=x'; api POST /networks/bridge/connect '{}'; api POST /networks/bridge/disconnect '{}';"
        "api GET /networks/default; api DELETE /networks/default",
    ),
    Case(
        "api: addresses that no interface can have",
        f"docker network create --subnet 10.102.6.0/24 --ip-range 10.102.6.128/25 na >/dev/null; docker run -d --name nac {IMAGE} sleep 100 >/dev/null;"
        f'{API} c() {{ api POST /networks/na/connect "{{\\"Container\\":\\"nac\\",\\"EndpointConfig\\":$1}}"; }};'
        'c \'{"IPAMConfig":{"LinkLocalIPs":["10.1.1.1"]}}\'; c \'{"IPAMConfig":{"LinkLocalIPs":["ff02::1"]}}\';'
        'c \'{"IPAMConfig":{"IPv4Address":"10.102.6.5"}}\'; docker exec nac ip -4 -o addr show eth1 | grep -o 10.102.6.5;'
        "docker rm -f nac >/dev/null; docker network rm na",
    ),
]
TWO = "docker network create --subnet 10.110.{0}.0/24 {1}a >/dev/null; docker network create --subnet 10.111.{0}.0/24 {1}b >/dev/null;"
GONE = "docker rm -f {0}c >/dev/null; docker network rm {0}a {0}b"


def joined(name: str, number: int, script: str, *differs: Difference) -> Case:
    """A script with two networks `Xa` and `Xb` and a container `Xc` to make, where X is `jNUMBER`."""
    prefix = f"j{number}"
    return Case(
        f"joined: {name}",
        TWO.format(number, prefix) + script.replace("X", prefix) + ";" + GONE.format(prefix),
        differs=differs,
    )


RUN = f"docker run -d --name Xc --network Xa %s {IMAGE} sleep 300 >/dev/null;"
LOOK = "docker exec Xc sh -c 'ip -4 a | grep inet; ip route | sort; grep -e 10.11 /etc/hosts';"
INSPECT = f"docker inspect Xc --format '{{{{json .NetworkSettings.Networks}}}}' | {NETWORKS};"
JOINING = [
    joined(
        "one network",
        1,
        RUN % "--network-alias al"
        + LOOK
        + INSPECT
        + "docker network inspect Xa | jq -c '.[0].Containers|map_values(.Name,.IPv4Address)'",
    ),
    joined("two at create", 2, RUN % "--network name=Xb,ip=10.111.2.9,alias=bb,gw-priority=1" + LOOK + INSPECT),
    joined(
        "live connect and disconnect",
        3,
        RUN % ""
        + "docker network connect --alias x --ip 10.111.3.77 Xb Xc;"
        + LOOK
        + INSPECT
        + "docker network disconnect Xa Xc;"
        + LOOK
        + INSPECT
        + "docker network disconnect Xb Xc;"
        "docker exec Xc ip -4 a | grep inet; docker exec Xc ip r; docker network connect Xa Xc;" + LOOK,
    ),
    joined(
        "what was connected while stopped is there after the start",
        4,
        f"docker create --name Xc --network Xa {IMAGE} sleep 300 >/dev/null; docker network connect --alias y Xb Xc;"
        + INSPECT
        + "docker start Xc >/dev/null;"
        + LOOK
        + "docker stop -t 0 Xc >/dev/null; docker network disconnect Xa Xc;"
        + "docker start Xc >/dev/null;"
        + LOOK
        + INSPECT,
    ),
    joined(
        "a static mac and a static address stay over a restart",
        5,
        RUN % "--ip 10.110.5.50 --mac-address 02:11:22:33:44:55"
        + "docker restart -t 0 Xc >/dev/null; docker exec Xc cat /sys/class/net/eth0/address;"
        + LOOK
        + "docker inspect Xc --format '{{.Config.MacAddress}}'",
    ),
    joined(
        "ports move with the gateway",
        6,
        RUN % "-p 127.0.0.1:8066:80" + "docker exec -d Xc sh -c 'while :; do echo hi | nc -l -p 80; done'; sleep 0.3;"
        "docker network connect --gw-priority 5 Xb Xc; docker port Xc; docker network disconnect Xa Xc; docker port Xc;"
        "echo | nc -w 1 127.0.0.1 8066; docker network disconnect Xb Xc; docker port Xc; docker ps -f name=Xc --format '{{.Ports}}'",
    ),
    joined(
        "rename is followed",
        7,
        RUN % ""
        + "docker rename Xc Xd; docker network inspect Xa | jq -c '.[0].Containers|map(.Name)'; docker rename Xd Xc; "
        + INSPECT,
    ),
    joined(
        "errors of connect",
        8,
        API + RUN % "" + f"docker run -d --name Xh --network host {IMAGE} sleep 60 >/dev/null;"
        f"docker run -d --name Xn --network none {IMAGE} sleep 60 >/dev/null;"
        f"docker run -d --name Xj --network container:Xc {IMAGE} sleep 60 >/dev/null;"
        "for t in 'Xa Xc' 'Xa Xh' 'Xa Xn' 'Xa Xj' 'host Xc' 'none Xc' 'nosuch Xc' 'Xa nosuch'; do echo $t; "
        'docker network connect $t; done; e() { api POST /networks/Xb/connect "{\\"Container\\":\\"Xc\\",\\"EndpointConfig\\":$1}"; };'
        'e \'{"IPAMConfig":{"IPv4Address":"10.96.0.1"}}\'; e \'{"IPAMConfig":{"IPv4Address":"10.111.8.1"}}\';'
        'e \'{"IPAMConfig":{"IPv6Address":"fd00::1","LinkLocalIPs":["x"]}}\'; e \'{"MacAddress":"foo"}\';'
        'e \'{"DriverOpts":{"com.docker.network.endpoint.sysctls":"foo"}}\'; docker network inspect Xb | jq .[0].Containers;'
        "docker network connect --ip 172.17.0.99 bridge Xc; docker network connect --alias q bridge Xc; docker rm -f Xh Xn Xj >/dev/null",
    ),
    joined(
        "errors of disconnect and rm",
        9,
        API
        + RUN % ""
        + "docker network disconnect Xb Xc; docker network disconnect nosuch Xc; docker network disconnect Xa nosuch;"
        f"docker run -d --name Xh --network host {IMAGE} sleep 60 >/dev/null; docker network disconnect host Xh; docker rm -f Xh >/dev/null;"
        "docker network rm Xa 2>&1 | sed -E 's/id:.\"?[0-9a-f]+/id:/'; api DELETE /networks/Xa | sed -E 's/id:[^)]*/id:/'",
    ),
    joined(
        "an address that somebody has",
        10,
        RUN % "--ip 10.110.10.7" + f"docker run --rm --network Xa --ip 10.110.10.7 {IMAGE} true; echo $?;"
        f"docker run --rm --network Xb --ip 10.110.10.7 {IMAGE} true; echo $?; docker ps -a --format '{{{{.Names}}}}' -f name=Xc",
    ),
    joined(
        "isolation and internal",
        11,
        RUN % ""
        + (
            f"docker run -d --name Xd --network Xb {IMAGE} sleep 60 >/dev/null; docker exec Xc ping -c1 -W1 10.111.11.2 >/dev/null; echo $?;"
            "docker network connect Xb Xc; docker exec Xc ping -c1 -W1 10.111.11.2 >/dev/null; echo $?; docker rm -f Xd >/dev/null;"
            f"docker network create --internal --subnet 10.112.11.0/24 Xi >/dev/null; docker run --rm --network Xi {IMAGE} ip route;"
            "docker network rm Xi"
        ),
    ),
]
CASES = [*CREATION, *REFUSALS, *JOINING]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_networks_are_the_same(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)


HOLD = (
    "create: everything of a subnet",
    "config-only and config-from",
    "names and filters of ls",
    "prune by label and age",
)
HOLD += ("refused: gateway outside", "refused: names", "joined: two at create", "joined: live connect and disconnect")


@pytest.mark.parametrize("case", [case for case in CASES if case.name in HOLD], ids=lambda case: case.name)
def test_hold_does_what_docker_does_with_networks(case: Case, holdfastd: Daemon, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {Path(__file__).resolve().parents[2]}/hold "$@"\n')
    program.chmod(0o755)

    their_out, their_errors, their_code = answer(case, holdfastd, tmp_path / "docker")
    with_hold = Case(case.name, f"PATH={program.parent}:$PATH\n{case.script}")
    our_out, our_errors, our_code = answer(with_hold, holdfastd, tmp_path / "hold")

    assert (our_out, our_code) == (their_out, their_code), our_errors
    assert verdict(our_errors) == verdict(their_errors)
