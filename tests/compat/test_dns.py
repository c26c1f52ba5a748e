# SPDX-License-Identifier: Apache-2.0
"""Names inside user-defined networks mean the same on dockerd and on Holdfast, and so does what is forwarded."""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, compare

IMAGE = "busybox:1.37.0-musl"
# `ask NAME...` prints, per name, the sorted answers of the embedded server, or that there is none
ASK = """
ask() { c=$1; shift; for n in "$@"; do echo "$n: $(docker exec $c nslookup $n 2>&1 | awk '
  /^Name:/ {seen=1} seen && /^Address/ {print $2} / name = / {print $NF} /NXDOMAIN|SERVFAIL/ {print $NF}' | sort -u | tr '\\n' ' ')"; done; }
up() { docker run -d --init --name $1 "${@:2}" >/dev/null; }
"""
TWO = f"""{ASK}
docker network create --subnet 10.130.N.0/24 dN >/dev/null; docker network create --subnet 10.131.N.0/24 eN >/dev/null
up dNweb --network dN --network-alias www --network-alias both --hostname hosty {IMAGE} sleep 100
up dNdb --network dN --network-alias both {IMAGE} sleep 100
up eNother --network eN --network-alias only {IMAGE} sleep 100
"""
DOWN = "\ndocker rm -f dNweb dNdb eNother dNc >/dev/null 2>&1; docker network rm dN eN >/dev/null"


def case(number: int, name: str, script: str) -> Case:
    """With networks and names of its own."""
    text = TWO + script + DOWN
    for letter in "de":
        text = text.replace(f"{letter}N", f"{letter}n{number}x")
    return Case(name, text.replace(".N.", f".{number}."))


CASES = (
    case(1, "name, alias, hostname, full name, upper case", "ask dNdb dNweb www hosty dNweb.dN www.dN DNWEB.DN"),
    case(2, "own names", "ask dNweb dNweb www hosty"),
    case(3, "short id", 'i=$(docker inspect -f "{{.Id}}" dNweb); ask dNdb ${i:0:12} | cut -d: -f2; ask dNdb $i | cut -d: -f2'),
    case(4, "alias of several", "ask dNdb both"),
    case(5, "names of another network", "ask dNdb eNother only eNother.eN"),
    case(6, "a container in both networks", "docker network connect --alias seen eN dNweb; ask eNother dNweb seen; ask dNdb seen www; ask dNweb only both"),
    case(7, "after disconnect", "docker network connect eN dNweb; docker network disconnect dN dNweb; ask dNdb dNweb www; ask eNother dNweb"),
    case(8, "after a rename", "docker rename dNweb dNnew; ask dNdb dNweb dNnew www; docker rm -f dNnew >/dev/null"),
    case(9, "after stop and start", "docker stop -t 0 dNweb >/dev/null; ask dNdb dNweb both; docker start dNweb >/dev/null; ask dNdb dNweb"),
    case(10, "link", f"up dNc --network dN --link dNweb:site --link dNdb {IMAGE} sleep 100; ask dNc site dNdb; ask dNdb site"),
    case(11, "address", "ask dNdb 10.130.N.2 10.131.N.2 10.130.N.99"),
    case(12, "search and options", f"docker run --rm --network dN --dns-search a.example --dns-opt timeout:1 {IMAGE} grep -v '^#' /etc/resolv.conf"),
    case(13, "own servers", f"docker run --rm --network dN --dns 10.9.9.9 {IMAGE} grep -v '^#' /etc/resolv.conf"),
    case(
        14,
        "forwarding to a server in the network",
        'docker exec -d dNweb sh -c "echo host.example 192.0.2.77 > /c; exec dnsd -c /c -p 53"; sleep 1; '
        f"up dNc --network dN --dns 10.130.N.2 {IMAGE} sleep 100; ask dNc host.example dNdb",
    ),
    case(
        15,
        "internal network forwards nothing",
        'docker network create --internal --subnet 10.132.N.0/24 eNi >/dev/null; docker network connect eNi dNweb; '
        'docker exec -d dNweb sh -c "echo host.example 192.0.2.77 > /c; exec dnsd -c /c -p 53"; sleep 1; '
        f"up dNc --network eNi --dns 10.132.N.2 {IMAGE} sleep 100; ask dNc host.example dNweb; docker rm -f dNc dNweb >/dev/null; docker network rm eNi >/dev/null",
    ),
    case(
        16,
        "a server of the container's own at port 53",
        'docker exec -d dNweb sh -c "echo host.example 192.0.2.77 > /c; exec dnsd -c /c -i 0.0.0.0 -p 53"; sleep 1; ask dNweb dNdb; '
        "docker exec dNdb nslookup host.example dNweb | grep 192.0.2.77",
    ),
    case(17, "host-gateway", f"docker run --rm --network dN --add-host host.docker.internal:host-gateway {IMAGE} grep -c host.docker.internal /etc/hosts; ask dNdb host.docker.internal"),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda each: each.name)
def test_names(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)
