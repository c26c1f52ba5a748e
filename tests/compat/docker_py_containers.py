# SPDX-License-Identifier: Apache-2.0
"""docker-py's whole surface of containers, execs, events and the daemon; run by test_docker_py.py once per daemon."""

import io
import tarfile
import threading
import time
from typing import Any

import docker
from docker import types
from docker_py_steps import IMAGE, failure, say_all, step


def archive(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


def names_in(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return sorted(tar.getnames())


@step
def collection(client: docker.DockerClient) -> Any:
    made = client.containers.create(IMAGE, "true", name="pc-1", labels={"pc": "1"})
    seen: list[Any] = [made.name, made.status, made.labels, made.short_id == made.id[:12], made.image.tags, made.health]
    seen += [client.containers.get("pc-1").name, client.containers.get(made.short_id).name]
    for how in (
        {"all": True},
        {"all": True, "limit": 1},
        {"since": "pc-1"},
        {"before": "pc-1"},
        {"sparse": True, "all": True},
    ):
        seen += [sorted(each.id == made.id for each in client.containers.list(filters={"label": "pc=1"}, **how))]
    for filters in (
        {"status": "created"},
        {"exited": 0},
        {"name": "pc-"},
        {"id": made.id},
        {"ancestor": IMAGE},
        {"volume": "x"},
    ):
        seen += [[each.name for each in client.containers.list(all=True, filters={**filters, "label": "pc=1"})]]
    made.start()
    made.wait()
    seen += [[each.name for each in client.containers.list(all=True, filters={"exited": 0, "label": "pc"})]]
    pruned = client.containers.prune(filters={"label": "pc=1"})
    seen += [
        pruned["ContainersDeleted"] == [made.id],
        sorted(pruned),
        client.containers.prune(filters={"label": "pc=1"}),
    ]
    return seen


@step
def files(client: docker.DockerClient) -> Any:
    made = client.containers.run(IMAGE, ["sh", "-c", "echo one >/one; rm /etc/group; sleep 1000"], detach=True)
    time.sleep(0.3)
    seen: list[Any] = [sorted((each["Path"], each["Kind"]) for each in made.diff())]
    seen += [made.put_archive("/tmp", archive("put", b"content")), made.exec_run("cat /tmp/put").output]
    data, stat = made.get_archive("/tmp/put")
    seen += [stat["name"], stat["size"], stat["mode"], names_in(b"".join(data))]
    data, stat = made.get_archive("/etc/passwd", encode_stream=True)
    seen += [stat["name"], names_in(b"".join(data))]
    seen += [failure(lambda: made.get_archive("/nosuch")), failure(lambda: made.put_archive("/nosuch", b""))]
    seen += ["one" in names_in(b"".join(made.export()))]
    image = made.commit(
        "pc/committed", tag="x", message="said", author="me", changes=["ENV A=b"], conf={"Labels": {"l": "m"}}
    )
    seen += [image.tags, image.attrs["Comment"], image.attrs["Author"], "A=b" in image.attrs["Config"]["Env"]]
    seen += [client.containers.run("pc/committed:x", "cat /one", remove=True)]
    client.images.remove("pc/committed:x")
    made.remove(force=True)
    return seen


@step
def limits_and_stats(client: docker.DockerClient) -> Any:
    made = client.containers.run(IMAGE, "sleep 1000", detach=True, mem_limit="64m", nano_cpus=500_000_000)
    seen: list[Any] = [made.update(mem_limit="80m", memswap_limit="120m", restart_policy={"Name": "always"})]
    seen += [failure(lambda: made.update(mem_limit=1)), failure(lambda: made.update(cpu_quota=30000))]
    made.reload()
    seen += [made.attrs["HostConfig"]["Memory"], made.attrs["HostConfig"]["RestartPolicy"]]
    now = made.stats(stream=False)
    seen += [
        sorted(now),
        sorted(now["cpu_stats"]),
        sorted(now["memory_stats"]),
        now["memory_stats"]["limit"],
        now["name"][0],
    ]
    seen += [now["precpu_stats"]["cpu_usage"]["total_usage"] > 0]
    once = client.api.stats(made.id, stream=False, one_shot=True)
    seen += [once["precpu_stats"]["cpu_usage"]["total_usage"]]
    stream = made.stats(stream=True, decode=True)
    first, second = next(stream), next(stream)
    stream.close()
    seen += [first["precpu_stats"].get("system_cpu_usage", 0) == 0, second["precpu_stats"]["system_cpu_usage"] > 0]
    made.remove(force=True)
    stopped = client.containers.create(IMAGE, "true")
    seen += [stopped.stats(stream=False)["memory_stats"]]
    stopped.remove()
    return seen


@step
def low_level_create(client: docker.DockerClient) -> Any:
    low = client.api
    host = low.create_host_config(
        binds={"/tmp": {"bind": "/host", "mode": "ro"}}, port_bindings={80: ("127.0.0.1", None)}, tmpfs={"/t": "size=1m"},
        cap_add=["NET_ADMIN"], dns=["1.1.1.1"], extra_hosts={"a": "1.2.3.4"}, restart_policy={"Name": "on-failure"},
        init=False, shm_size="32m", log_config=types.LogConfig(type="json-file", config={"max-size": "1m"}), pids_limit=50,
        sysctls={"net.ipv4.ip_forward": "1"}, security_opt=["no-new-privileges"], group_add=["5"], oom_score_adj=5,
    )  # fmt: skip
    health = types.Healthcheck(test="true", interval=1_000_000_000, retries=2, start_period=1_000_000)
    networking = low.create_networking_config({"bridge": low.create_endpoint_config()})
    made = low.create_container(
        IMAGE, "sleep 1000", name="pc-low", hostname="h", user="1", environment={"A": "b"}, ports=[80], labels=["x"],
        host_config=host, healthcheck=health, networking_config=networking, stop_signal="SIGINT", working_dir="/tmp",
        stdin_open=True, volumes=["/host"], entrypoint=["env"],
    )  # fmt: skip
    seen: list[Any] = [made["Warnings"]]
    low.start("pc-low")
    shown = low.inspect_container("pc-low")
    seen += [low.port("pc-low", 80)[0]["HostIp"], shown["Config"]["Healthcheck"], shown["Config"]["StopSignal"]]
    seen += [
        {name: shown["HostConfig"][name] for name in ("ShmSize", "PidsLimit", "Sysctls", "GroupAdd", "OomScoreAdj")}
    ]
    seen += [
        [each["State"] for each in low.containers(filters={"name": "pc-low"})],
        low.top("pc-low", "-o pid,args")["Titles"],
    ]
    low.rename("pc-low", "pc-low2")
    low.pause("pc-low2")
    low.unpause("pc-low2")
    low.restart("pc-low2", timeout=0)
    low.kill("pc-low2", "SIGKILL")
    seen += [low.wait("pc-low2"), low.logs("pc-low2"), [each["Kind"] for each in low.diff("pc-low2")][:0]]
    low.stop("pc-low2")
    low.remove_container("pc-low2", v=True, force=True)
    seen += [low.prune_containers({"label": ["nosuch"]})["SpaceReclaimed"]]
    return (
        seen,
        failure(lambda: low.create_container_from_config({"Image": "nosuch"})),
        low.create_container_config(IMAGE, "x")["Cmd"],
    )


@step
def terminals(client: docker.DockerClient) -> Any:
    made = client.containers.run(IMAGE, "sh", detach=True, tty=True, stdin_open=True)
    seen: list[Any] = [made.resize(24, 90)]
    channel = made.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    raw = channel._sock
    raw.sendall(b"stty size; exit 5\n")
    text = b""
    while data := raw.recv(4096):
        text += data
    seen += [b"24 90" in text, made.wait()["StatusCode"], b"24 90" in made.logs(stdout=True, stderr=True)]
    made.remove()
    return seen


@step
def attaching(client: docker.DockerClient) -> Any:
    made = client.containers.create(IMAGE, ["sh", "-c", "sleep 0.3; echo out; echo err >&2; echo end"])
    results: list[Any] = []
    stream = made.attach(stream=True, stdout=True, stderr=True, demux=True)
    reader = threading.Thread(target=lambda: results.extend(stream))
    reader.start()
    made.start()
    reader.join(10)
    out = b"".join(piece[0] or b"" for piece in results)
    err = b"".join(piece[1] or b"" for piece in results)
    seen: list[Any] = [out, err]
    made.remove()
    return seen


@step
def execs(client: docker.DockerClient) -> Any:
    low = client.api
    made = client.containers.run(IMAGE, "sleep 1000", detach=True, user="7")
    command = ["sh", "-c", "id -u; pwd; echo $A; grep CapEff /proc/self/status"]
    seen: list[Any] = []
    for how in ({}, {"user": "0", "workdir": "/etc", "environment": {"A": "b"}}, {"privileged": True, "user": "root"}):
        identity = low.exec_create(made.id, command, **how)["Id"]
        output = low.exec_start(identity).splitlines()
        seen += [output[:3], output[-1][:7] if "privileged" in how else output[-1]]
    identity = low.exec_create(made.id, "sh", stdin=True, tty=True)["Id"]
    channel = low.exec_start(identity, tty=True, socket=True)
    raw = channel._sock
    seen += [low.exec_resize(identity, 20, 70)]
    raw.sendall(b"stty size; exit 6\n")
    text = b""
    while data := raw.recv(4096):
        text += data
    shown = low.exec_inspect(identity)
    seen += [b"20 70" in text, shown["ExitCode"], shown["OpenStdin"], shown["ProcessConfig"], low.exec_start(
        low.exec_create(made.id, "true")["Id"], detach=True)]  # fmt: skip
    seen += [failure(lambda: low.exec_create(made.id, ""))]
    seen += [
        failure(lambda: low.exec_create("nosuch", "true")),
        failure(lambda: low.exec_create(made.id, "true", user="nosuch")),
    ]
    made.pause()
    seen += [failure(lambda: low.exec_create(made.id, "true"))]
    made.remove(force=True)
    return seen


@step
def health(client: docker.DockerClient) -> Any:
    check = {"test": ["CMD-SHELL", "true"], "interval": 100_000_000}
    made = client.containers.run(IMAGE, "sleep 1000", detach=True, healthcheck=check)
    seen: list[Any] = [made.health]
    for _ in range(50):
        made.reload()
        if made.health == "healthy":
            break
        time.sleep(0.1)
    seen += [made.health, [each.id == made.id for each in client.containers.list(filters={"health": "healthy"})]]
    made.remove(force=True)
    return seen


@step
def daemon(client: docker.DockerClient) -> Any:
    begin = time.time()
    made = client.containers.create(IMAGE, "true", name="pc-ev")
    made.remove()
    found = client.events(since=begin, until=time.time() + 0.1, decode=True)
    seen: list[Any] = [
        [(each["Action"], each["Actor"]["Attributes"].get("name")) for each in found if each["Type"] == "container"]
    ]
    following = client.events(decode=True, filters={"type": "container", "event": ["create"]})
    threading.Timer(0.3, lambda: client.containers.create(IMAGE, name="pc-ev2").remove()).start()
    seen += [next(following)["Actor"]["Attributes"]["name"]]
    following.close()
    time.sleep(0.3)
    return seen, sorted(client.df()), client.ping(), failure(lambda: client.swarm.reload()), client.plugins.list()


say_all()
