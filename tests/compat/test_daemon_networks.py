# SPDX-License-Identifier: Apache-2.0
"""The daemon's own options for the default bridge (ipv6, fixed-cidr-v6, icc; none at all) on both daemons, with the same flags."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from compat_case import Case, Difference, compare
from flagged_daemons import IMAGE, Pair, StartBoth

SERVE = "'nc -u -lk -p 53 -e cat & for p in 80 81; do nc -lk -p $p -e echo hi & done; wait'"
ASK = "ask() { docker exec $1 nc -w 1 $2 $3 </dev/null || echo closed; }"

CASES = [
    Case(
        "the default bridge",
        "docker network inspect -f '{{.EnableIPv6}} {{json .IPAM.Config}} {{json .Options}}' bridge | sed 's/holdfast0/docker0/'",
    ),
    Case("host-gateway", f"docker run --rm --add-host up:host-gateway {IMAGE} grep 'up$' /etc/hosts"),
    Case(
        "a container's IPv6",
        f"docker run -d --name i1 {IMAGE} sleep 100 >/dev/null;"
        "docker inspect -f '{{with .NetworkSettings}}{{.GlobalIPv6Address}} {{.GlobalIPv6PrefixLen}} {{.IPv6Gateway}}{{end}}' i1;"
        "docker inspect -f '{{with .NetworkSettings.Networks.bridge}}{{.GlobalIPv6Address}} {{.IPv6Gateway}}{{end}}' i1;"
        "docker exec i1 ip -6 addr show dev eth0 scope global | grep -o 'inet6 [^ ]*'; docker exec i1 ip -6 route | grep -o 'default via [^ ]*';"
        "docker exec i1 grep fd00 /etc/hosts | cut -f1; docker exec i1 ping -6 -c 1 -W 2 fd00:77::1 | grep -c ttl; docker rm -f i1",
    ),
    Case(
        "a port over both protocols",
        f"docker run -d --name i2 -p 18600:80 -p [::1]:18601:80 {IMAGE} sh -c 'nc -lk -p 80 -e echo hi' >/dev/null; sleep 0.3; docker port i2;"
        "for to in 127.0.0.1:18600 [::1]:18600 [::1]:18601 127.0.0.1:18601 [fd00:77::1]:18600; do timeout 2 socat -u TCP:$to - 2>/dev/null || echo closed; done; docker rm -f i2",
    ),
    Case(
        "links without communication between containers",
        f"{ASK}; docker run -d --name l1 --expose 80 --expose 53/udp {IMAGE} sh -c {SERVE} >/dev/null;"
        f"docker run -d --name l2 --link l1:db {IMAGE} sleep 100 >/dev/null; docker run -d --name l3 {IMAGE} sleep 100 >/dev/null;"
        "A=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' l1); ask l2 db 80; ask l2 db 81; ask l3 $A 80; ask l1 $(docker inspect -f '{{.NetworkSettings.IPAddress}}' l2) 80;"
        "docker exec l2 sh -c 'echo ping | nc -u -w 1 db 53'; docker restart -t 0 l2; ask l2 db 80; docker rm -f l1 l2 l3",
    ),
]

NETWORKS = "docker inspect -f '{{json .NetworkSettings.Networks}} {{json .NetworkSettings.Ports}}' %s | jq -cS 'if has(\"n1\") then .n1|keys else . end'"
CREATE = (
    'create() { curl -s --unix-socket $SOCKET -H Content-Type:application/json -d "$1" '
    "http://d/v1.47/containers/create?name=cc; }"
)
FORWARDS_LATER = Difference(
    "^WARNING: IPv4 forwarding is disabled.*\n", "", "the first network that needs it switches it on"
)
WITHOUT_BRIDGE = [
    Case("its networks", "docker network ls --format '{{.Name}}'; docker network inspect bridge"),
    Case(
        "a container has its loopback only",
        f"docker create --name cc -p 81:80 {IMAGE} sleep 100 >/dev/null; {NETWORKS % 'cc'}; docker start cc; {NETWORKS % 'cc'};"
        "docker exec cc ip -o -4 addr; docker exec cc cat /etc/hosts; docker restart -t 0 cc; docker stop -t 0 cc; docker start cc;"
        f"docker run --rm --link cc:x {IMAGE} true; docker run --rm --network bridge {IMAGE} ip -o -4 addr; docker rm -f cc",
        differs=(FORWARDS_LATER,),
    ),
    Case(
        "it may join another network",
        f"docker network create n1 >/dev/null; docker run -d --name cc {IMAGE} sleep 100 >/dev/null; docker network connect n1 cc;"
        f"docker exec cc ip -o -4 addr; {NETWORKS % 'cc'}; docker network disconnect n1 cc; {NETWORKS % 'cc'}; docker rm -f cc; docker network rm n1",
        differs=(FORWARDS_LATER,),
    ),
    Case(
        "networking disabled by the API",
        f'{CREATE}; create \'{{"Image":"{IMAGE}","Cmd":["ip","-o","-4","addr"],"NetworkDisabled":true,"HostConfig":{{"PortBindings":{{"80/tcp":[{{"HostPort":"82"}}]}}}}}}\' >/dev/null;'
        f"{NETWORKS % 'cc'}; docker start -a cc; {NETWORKS % 'cc'}; docker inspect -f '{{{{.Config.NetworkDisabled}}}} {{{{.HostConfig.NetworkMode}}}}' cc; docker rm cc",
    ),
]


ELSEWHERE = [
    Case(
        "a range that is a subnet of its own",
        f"docker run --rm {IMAGE} sh -c 'ip -o -4 addr show eth0; ip route'; docker network create n1 >/dev/null;"
        "docker network inspect -f '{{json .IPAM.Config}}' bridge n1; docker network rm n1",
    ),
    Case(
        "no forwarding",
        "docker info -f '{{.IPv4Forwarding}}'; docker info 2>&1 | grep -i forwarding; cat /proc/sys/net/ipv4/ip_forward;"
        f"docker create --name cc {IMAGE} true 2>&1 | grep WARNING; docker rm cc",
    ),
    Case(
        "no masquerade without a firewall",
        "docker network inspect -f '{{index .Options \"com.docker.network.bridge.enable_ip_masquerade\"}}' bridge",
    ),
]


@pytest.fixture(scope="module")
def both(start_both: StartBoth) -> Iterator[Pair]:
    with start_both(f"hf-dn-{os.getpid()}", "--ipv6", "--fixed-cidr-v6=fd00:77::/64", "--icc=false") as pair:
        yield pair


@pytest.fixture(scope="module")
def without_bridge(start_both: StartBoth) -> Iterator[Pair]:
    with start_both(f"hf-nb-{os.getpid()}", "--bridge=none") as pair:
        yield pair


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_options_of_the_default_bridge(case: Case, both: Pair, tmp_path: Path) -> None:
    compare(case, *both, tmp_path)


@pytest.fixture(scope="module")
def elsewhere(start_both: StartBoth) -> Iterator[Pair]:
    """In namespaces that forward nothing, whatever the machine does."""
    with start_both(
        f"hf-el-{os.getpid()}", "--fixed-cidr=10.9.0.0/24", "--ip-forward=false", "--iptables=false"
    ) as pair:
        yield pair


@pytest.mark.parametrize("case", ELSEWHERE, ids=[case.name for case in ELSEWHERE])
def test_range_and_forwarding(case: Case, elsewhere: Pair, tmp_path: Path) -> None:
    compare(case, *elsewhere, tmp_path)


@pytest.mark.parametrize("case", WITHOUT_BRIDGE, ids=[case.name for case in WITHOUT_BRIDGE])
def test_no_default_bridge(case: Case, without_bridge: Pair, tmp_path: Path) -> None:
    compare(case, *without_bridge, tmp_path)
