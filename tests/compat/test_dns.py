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


SERVER = 'docker exec -d %s sh -c "echo host.example 192.0.2.77 > /c; exec dnsd -c /c -i 0.0.0.0 -p 53"; sleep 0.5; '
A = "nslookup -type=a"

CASES = (
    case(
        1,
        "name, alias, hostname, short id, full name, upper case, address",
        "ask dNdb dNweb www hosty dNweb.dN www.dN DNWEB.DN both dNother only eNother.eN 10.130.N.2 10.131.N.2 10.130.N.99; "
        "ask dNweb dNweb hosty; "
        'i=$(docker inspect -f "{{.Id}}" dNweb); ask dNdb ${i:0:12} | cut -d: -f2; ask dNdb $i | cut -d: -f2',
    ),
    case(
        2,
        "coming, going, another name, another start",
        "docker network connect --alias seen eN dNweb; ask eNother dNweb seen; ask dNdb seen www; ask dNweb only both; "
        "docker network disconnect dN dNweb; ask dNdb dNweb www; ask eNother dNweb; docker network connect dN dNweb; "
        "docker rename dNdb dNnew; ask dNweb dNdb dNnew; docker rename dNnew dNdb; "
        "docker stop -t 0 dNdb >/dev/null; ask dNweb dNdb both; docker start dNdb >/dev/null; ask dNweb dNdb",
    ),
    case(
        3,
        "link, search, options, own servers, host-gateway",
        f"up dNc --network dN --link dNweb:site --link dNdb {IMAGE} sleep 100; ask dNc site dNdb; ask dNdb site; "
        f"docker run --rm --network dN --dns-search a.example --dns-opt timeout:1 --dns 10.9.9.9 "
        f"--add-host host.docker.internal:host-gateway {IMAGE} sh -c 'grep -v ^# /etc/resolv.conf; grep -c docker.internal /etc/hosts'; "
        "ask dNdb host.docker.internal",
    ),
    case(
        4,
        "forwarding to a server in the network, which is at its own port 53",
        SERVER % "dNweb" + f"up dNc --network dN --dns 10.130.N.2 {IMAGE} sleep 100; docker exec dNc {A} host.example; "
        f"docker exec dNc {A} dNdb; docker exec dNweb {A} dNdb; docker exec dNdb {A} host.example 10.130.N.2",
    ),
    case(
        5,
        "an internal network asks only its own server",
        "docker network create --internal --subnet 10.132.N.0/24 eNi >/dev/null; docker network connect eNi dNweb; "
        + SERVER % "dNweb"
        + f"up dNc --network eNi --dns 10.132.N.2 {IMAGE} sleep 100; docker exec dNc {A} host.example; ask dNc dNweb; "
        f"docker rm -f dNc >/dev/null; up dNc --network eNi {IMAGE} sleep 100; docker exec dNc {A} host.example; "
        "docker rm -f dNc dNweb >/dev/null; docker network rm eNi >/dev/null",
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda each: each.name)
def test_names(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)
