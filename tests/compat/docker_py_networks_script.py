# SPDX-License-Identifier: Apache-2.0
"""docker-py's networks and volumes against the daemon of DOCKER_HOST; test_docker_py_networks.py compares the output."""

import json
from collections.abc import Callable
from typing import Any

import docker
from docker.errors import APIError
from docker.types import EndpointConfig, IPAMConfig, IPAMPool, Mount, NetworkingConfig

IMAGE = "busybox:1.37.0-musl"


def refused(call: Callable[[], Any]) -> list[Any]:
    try:
        return ["no error", str(call())]
    except APIError as error:
        return [error.status_code, error.explanation]


def networks(client: docker.DockerClient) -> list[Any]:
    pool = IPAMPool(subnet="10.77.0.0/24", gateway="10.77.0.1", iprange="10.77.0.128/25")
    made = client.networks.create("pn-one", labels={"a": "b"}, ipam=IPAMConfig(pool_configs=[pool]))
    other = client.networks.create("pn-two", internal=True, check_duplicate=True)
    seen: list[Any] = [made.attrs["Labels"], made.attrs["IPAM"], made.attrs["Driver"], other.attrs["Internal"]]
    seen += [sorted(each.name for each in client.networks.list(names=["pn-"]))]
    seen += [[each.name for each in client.networks.list(filters={"label": "a=b"})]]
    seen += [refused(lambda: client.networks.create("pn-one")), refused(lambda: client.networks.create(""))]
    seen += [refused(lambda: client.networks.create("pn-x", driver="nosuch"))]
    overlapping = IPAMConfig(pool_configs=[IPAMPool(subnet="10.77.0.0/25")])
    seen += [refused(lambda: client.networks.create("pn-x", ipam=overlapping))[0]]
    box = client.containers.run(IMAGE, "sleep 1000", name="pn-box", detach=True, network="pn-one")
    peer = client.containers.create(
        IMAGE,
        "sleep 1000",
        name="pn-peer",
        network="pn-one",
        networking_config={"pn-one": client.api.create_endpoint_config(aliases=["friend"], ipv4_address="10.77.0.200")},
    )
    peer.start()
    peer.reload()
    endpoint = peer.attrs["NetworkSettings"]["Networks"]["pn-one"]
    seen += [endpoint["IPAddress"], endpoint["IPPrefixLen"], endpoint["Gateway"], sorted(endpoint["Aliases"] or [])]
    seen += [box.exec_run("ping -c1 -W2 friend").exit_code, box.exec_run("ping -c1 -W2 pn-peer").exit_code]
    made.reload()
    seen += [sorted(each.name for each in made.containers)]
    seen += [refused(made.remove)[0], refused(lambda: made.connect(box))[0]]
    other.connect(box, aliases=["box"], ipv4_address=None)
    box.reload()
    seen += [sorted(box.attrs["NetworkSettings"]["Networks"]), box.exec_run("ip link show eth1").exit_code]
    made.disconnect(peer)
    peer.reload()
    seen += [sorted(peer.attrs["NetworkSettings"]["Networks"]), refused(lambda: made.disconnect(peer))[0] >= 400]
    made.disconnect(box, force=True)
    for container in (box, peer):
        container.remove(force=True)
    made.remove()
    seen += [client.networks.prune(filters={"label": "nosuch"}), refused(lambda: client.networks.get("pn-one"))]
    other.remove()
    return seen


def volumes(client: docker.DockerClient) -> list[Any]:
    made = client.volumes.create(
        "pv-one", driver="local", driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}, labels={"k": "v"}
    )
    seen: list[Any] = [made.attrs["Options"], made.attrs["Labels"], made.attrs["Scope"], made.id == made.name]
    seen += [refused(lambda: client.volumes.create("pv-x", driver="nosuch"))]
    seen += [refused(lambda: client.volumes.create("pv-x", driver_opts={"bogus": "1"}))]
    mounts = [
        Mount("/one", "pv-one"),
        Mount("/two", "pv-two", labels={"a": "b"}, no_copy=True, read_only=True),
        Mount("/host", "/tmp", type="bind", read_only=True, propagation="rprivate", consistency="cached"),
        Mount("/fast", None, type="tmpfs", tmpfs_size="1m", tmpfs_mode=0o1770),
        Mount("/part", "pv-three", subpath="sub"),
    ]
    client.containers.run(IMAGE, "mkdir /v/sub", remove=True, volumes={"pv-three": {"bind": "/v", "mode": "rw"}})
    script = (
        "for p in one two host fast part; do touch /$p/.pv 2>/dev/null && echo $p || echo not $p; done; rm -f /*/.pv"
    )
    seen += [client.containers.run(IMAGE, ["sh", "-c", script], remove=True, mounts=mounts)]
    box = client.containers.create(IMAGE, "true", mounts=mounts)
    seen += [sorted([m["Type"], m["Destination"], m["RW"], m["Mode"], m["Propagation"]] for m in box.attrs["Mounts"])]
    seen += [refused(made.remove)[0]]
    box.remove()
    for name in ("pv-one", "pv-two", "pv-three"):
        client.volumes.get(name).remove()
    client.volumes.create()
    seen += [client.volumes.prune()["SpaceReclaimed"], refused(lambda: client.volumes.get("pv-one"))]
    return seen


def old_ways(client: docker.DockerClient) -> list[Any]:
    """The low-level API with `binds`, `volumes_from`, `links`, an endpoint's configuration."""
    api = client.api
    host = api.create_host_config(binds={"/tmp": {"bind": "/x", "mode": "ro"}, "pv-old": "/y"}, tmpfs=["/z"])
    first = api.create_container(IMAGE, "sleep 1000", name="po-1", volumes=["/x", "/y", "/own"], host_config=host)
    second = api.create_container(
        IMAGE,
        ["sh", "-c", "ls -d /x /y /own; grep -c alias /etc/hosts"],
        name="po-2",
        host_config=api.create_host_config(volumes_from=["po-1:ro"], links={"po-1": "alias"}),
        networking_config=NetworkingConfig({"bridge": EndpointConfig("1.44")}),
    )
    api.start(first)
    api.start(second)
    api.wait(second)
    seen = [
        api.logs(second).decode().split("\n")[:3],
        sorted(m["Destination"] for m in api.inspect_container(first)["Mounts"]),
    ]
    for container in (second, first):
        api.remove_container(container, force=True, v=True)
    api.remove_volume("pv-old")
    return seen


connection = docker.from_env()
for part in (networks, volumes, old_ways):
    for answer in part(connection):
        print(part.__name__, json.dumps(answer, sort_keys=True, default=repr))
