# SPDX-License-Identifier: Apache-2.0
"""What a user of docker-py does, as steps that print; run by test_docker_py.py once per daemon, with DOCKER_HOST set.

Arguments: an image of the registry on loopback, and the path of an archive to load.
"""

import io
import sys
import tarfile
import threading
import time
from typing import Any

import docker
from docker import errors, types
from docker_py_steps import IMAGE, failure, say_all, step

REGISTRY_IMAGE, ARCHIVE = sys.argv[1:3]


@step
def run_and_collect(client: docker.DockerClient) -> Any:
    return (
        client.containers.run(IMAGE, "echo hi", remove=True),
        client.containers.run(IMAGE, ["sh", "-c", "echo out; echo err >&2"], remove=True, stderr=True, stdout=False),
        client.containers.run(IMAGE, ["sh", "-c", "echo out; sleep 0.1; echo err >&2"], remove=True, stderr=True),
        client.containers.run(IMAGE, "env", remove=True, environment={"A": "1"}, hostname="h"),
        client.containers.run(IMAGE, "id -u", remove=True, user="1000"),
        list(client.containers.run(IMAGE, ["sh", "-c", "echo 1; sleep 0.2; echo 2"], stream=True, remove=True)),
    )


@step
def container_error(client: docker.DockerClient) -> Any:
    try:
        client.containers.run(IMAGE, ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    except errors.ContainerError as error:
        return error.exit_status, error.stderr, error.command
    return None


@step
def detached_life(client: docker.DockerClient) -> Any:
    container = client.containers.run(
        IMAGE, "sleep 1000", detach=True, name="py1", labels={"a": "b"}, ports={"80/tcp": 18201}, volumes=["pyv:/data"]
    )
    seen: list[Any] = [container.status, container.name, container.labels, container.image.tags]
    container.reload()
    ports = [port for port in container.ports["80/tcp"] if ":" not in port["HostIp"]]
    seen += [container.status, ports, [mount["Name"] for mount in container.attrs["Mounts"]]]
    container.rename("py2")
    seen += [[each.name for each in client.containers.list(filters={"label": "a=b"})]]
    container.pause()
    container.reload()
    seen += [container.status]
    container.unpause()
    seen += [failure(container.remove), container.top()["Titles"]]
    container.stop(timeout=0)
    seen += [container.wait()]
    container.restart(timeout=0)
    container.kill()
    seen += [container.wait()["StatusCode"], failure(container.kill)]
    container.remove(v=True)
    seen += [failure(container.reload), failure(lambda: client.containers.get("py2"))]
    client.volumes.get("pyv").remove()
    return seen


@step
def logs(client: docker.DockerClient) -> Any:
    container = client.containers.run(
        IMAGE, ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done; echo e >&2"], detach=True
    )
    followed = list(container.logs(stream=True, follow=True))
    container.wait()
    seen = [
        followed,
        container.logs(),
        container.logs(stderr=False),
        container.logs(tail=1),
        container.logs(tail="all"),
    ]
    seen += [len(container.logs(timestamps=True).split()), container.logs(since=int(time.time()) + 60)]
    container.remove()
    return seen


@step
def exec_in_all_ways(client: docker.DockerClient) -> Any:
    container = client.containers.run(IMAGE, "sleep 1000", detach=True)
    talk = ["sh", "-c", "echo out; sleep 0.4; echo err >&2; exit 4"]
    seen: list[Any] = [container.exec_run(talk), container.exec_run(talk, demux=True)]
    seen += [list(container.exec_run(talk, stream=True, demux=True).output)]
    seen += [container.exec_run("env", environment=["X=1"], workdir="/tmp", user="5").exit_code]
    seen += [container.exec_run("nosuch").exit_code, container.exec_run("tty", tty=True).output]
    seen += [container.exec_run("true", detach=True).output]
    _, channel = container.exec_run("cat", stdin=True, socket=True)
    raw = channel._sock if hasattr(channel, "_sock") else channel
    raw.sendall(b"said\n")
    seen += [raw.recv(13)]
    raw.close()
    identity = client.api.exec_create(container.id, "false")["Id"]
    client.api.exec_start(identity)
    shown = client.api.exec_inspect(identity)
    seen += [shown["Running"], shown["ExitCode"], sorted(shown), shown["ProcessConfig"]["entrypoint"]]
    container.remove(force=True)
    seen += [failure(lambda: container.exec_run("true")), failure(lambda: client.api.exec_inspect("nosuch"))]
    return seen


@step
def attach_socket(client: docker.DockerClient) -> Any:
    container = client.containers.create(IMAGE, "cat", stdin_open=True)
    channel = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    container.start()
    raw = channel._sock
    raw.sendall(b"hello\n")
    answer = b""
    while len(answer) < 14:
        answer += raw.recv(14)
    raw.close()
    container.remove(force=True)
    return answer


@step
def waiting(client: docker.DockerClient) -> Any:
    container = client.containers.run(IMAGE, "sleep 0.3", detach=True)
    seen: list[Any] = [container.wait(condition="next-exit"), container.wait(condition="not-running")]
    again = client.containers.create(IMAGE, "true", auto_remove=True)
    results: list[Any] = []
    waiter = threading.Thread(target=lambda: results.append(again.wait(condition="removed")))
    waiter.start()
    time.sleep(0.2)
    again.start()
    waiter.join(10)
    container.remove()
    return [*seen, results, failure(lambda: again.wait()), failure(lambda: container.wait(condition="nope"))]


@step
def events(client: docker.DockerClient) -> Any:
    since = time.time() - 0.01
    client.containers.run(IMAGE, "true", name="py-ev", remove=True)
    until = time.time() + 1
    found = client.events(since=since, until=until, decode=True, filters={"container": "py-ev"})
    listed = [(each["Type"], each["Action"], each["scope"], sorted(each), sorted(each["Actor"])) for each in found]
    return sorted(listed, key=lambda each: ["create", "attach", "start", "die", "destroy"].index(each[1]))


@step
def images(client: docker.DockerClient) -> Any:
    seen: list[Any] = [client.images.get(IMAGE).tags, failure(lambda: client.images.get("nosuch"))]
    pulled = client.images.pull(REGISTRY_IMAGE)
    seen += [
        pulled.tags,
        pulled.attrs["Architecture"],
        [digest.partition("@")[0] for digest in pulled.attrs["RepoDigests"]],
    ]
    lines = list(client.api.pull(REGISTRY_IMAGE, stream=True, decode=True))
    seen += [lines]
    seen += [failure(lambda: client.images.pull(REGISTRY_IMAGE.replace("thing", "nosuch")))]
    seen += [pulled.tag("py/other", "x"), sorted(client.images.get("py/other:x").tags)]
    seen += [[each.tags for each in client.images.list(name="py/other")]]
    client.images.remove("py/other:x")
    client.images.remove(REGISTRY_IMAGE)
    seen += [failure(lambda: client.images.remove("nosuch"))]
    with open(ARCHIVE, "rb") as archive:
        seen += [[image.tags for image in client.images.load(archive)]]
    seen += [failure(lambda: client.images.load(b"nonsense"))[0]]
    saved = b"".join(client.images.get(IMAGE).save(named=True))
    with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
        seen += ["manifest.json" in tar.getnames()]
    seen += [[step["CreatedBy"] for step in client.images.get(IMAGE).history()]]
    return seen


@step
def networks_and_volumes(client: docker.DockerClient) -> Any:
    seen: list[Any] = [sorted(network.name for network in client.networks.list())]
    seen += [[network.name for network in client.networks.list(names=["bridge"])]]
    seen += [client.networks.get("host").attrs["Driver"], failure(lambda: client.networks.get("nosuch"))]
    volume = client.volumes.create("py-v", labels={"x": "y"})
    seen += [volume.name, volume.attrs["Labels"], volume.attrs["Driver"], volume.attrs["Scope"]]
    seen += [[each.name for each in client.volumes.list(filters={"label": "x=y"})]]
    volume.remove()
    seen += [failure(lambda: client.volumes.get("py-v")), failure(lambda: client.volumes.create("a b"))]
    return seen


@step
def mounts_and_limits(client: docker.DockerClient) -> Any:
    made = client.containers.run(
        IMAGE,
        ["sh", "-c", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes; touch /ro/x; ulimit -n; df -k /t | tail -1"],
        mem_limit="64m",
        mounts=[types.Mount("/ro", "py-m", read_only=True), types.Mount("/t", None, type="tmpfs", tmpfs_size="1m")],
        ulimits=[types.Ulimit(name="nofile", soft=100, hard=200)],
        stderr=True,
        detach=True,
    )
    made.wait()
    text = made.logs()
    host = made.attrs["HostConfig"]
    made.remove()
    client.volumes.get("py-m").remove()
    return sorted(text.splitlines()), host["Memory"], host["MemorySwap"], host["Ulimits"]


@step
def refusals(client: docker.DockerClient) -> Any:
    return [
        failure(lambda: client.containers.run("127.0.0.1:9/nosuch:tag")),
        failure(lambda: client.containers.create("nosuch-image")),
        failure(lambda: client.containers.run(IMAGE, "nosuch", remove=True)),
        failure(lambda: client.containers.create(IMAGE, name="a b")),
        failure(lambda: client.containers.create(IMAGE, mem_limit=1)),
        failure(lambda: client.containers.create(IMAGE, volumes=["a b:/c"])),
        failure(lambda: client.containers.list(filters={"nope": "x"})),
        failure(lambda: client.api.logs("nosuch")),
        failure(lambda: client.api.resize("nosuch", 1, 1)),
    ]


@step
def about(client: docker.DockerClient) -> Any:
    version, info = client.version(), client.info()
    return client.ping(), version["ApiVersion"], version["Os"], info["OSType"], info["NCPU"], info["Driver"]


say_all()
