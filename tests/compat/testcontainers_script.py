# SPDX-License-Identifier: Apache-2.0
"""testcontainers-python's generic container against the daemon of DOCKER_HOST; test_testcontainers.py compares the output."""

import urllib.request
import warnings

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy
from testcontainers.core.waiting_utils import wait_for_logs

IMAGE = "busybox:1.37.0-musl"
SERVE = "sh -c 'echo it is ready; mkdir /srv; echo page > /srv/index.html; exec httpd -f -p 8080 -h /srv'"


def ports_and_logs() -> None:
    container = DockerContainer(IMAGE).with_command(SERVE).with_exposed_ports(8080).with_env("A", "b")
    with container as running:
        wait_for_logs(running, "it is ready", timeout=10)
        url = f"http://{running.get_container_host_ip()}:{running.get_exposed_port(8080)}/"
        print(urllib.request.urlopen(url, timeout=5).read())
        print(running.exec(["sh", "-c", "echo $A; exit 3"]), running.get_logs())
        container_id = running.get_wrapped_container().id
    print([each.id for each in running.get_docker_client().client.containers.list(all=True) if each.id == container_id])


def waiting() -> None:
    late = DockerContainer(IMAGE).with_command("sh -c 'sleep 0.3; echo waited; exec sleep 1000'")
    with late.waiting_for(LogMessageWaitStrategy("waited")) as running:
        print(running.get_wrapped_container().status, running.get_logs())
    served = DockerContainer(IMAGE).with_command(SERVE).with_exposed_ports(8080)
    with served.waiting_for(HttpWaitStrategy(8080).for_status_code(200)) as running:
        print(running.get_wrapped_container().status)


def networks() -> None:
    with Network() as network:
        one = DockerContainer(IMAGE).with_command("sleep 1000").with_network(network).with_network_aliases("one")
        with one, DockerContainer(IMAGE).with_command("sleep 1000").with_network(network) as two:
            print(two.exec("ping -c1 -W2 one").exit_code, two.exec("ping -c1 -W2 nosuch").exit_code)


def mounts_and_limits() -> None:
    container = DockerContainer(IMAGE).with_command("sleep 1000").with_volume_mapping("/tmp", "/x", "ro")
    with container.with_tmpfs_mount("/t", "size=1m").with_kwargs(mem_limit="64m") as running:
        print(running.exec("touch /x/f"), running.exec("grep -o size=1024k /proc/mounts"))
        print(running.get_wrapped_container().attrs["HostConfig"]["Memory"])


def failing() -> None:
    try:
        with DockerContainer(IMAGE).with_command("sh -c 'echo no; exit 3'") as running:
            wait_for_logs(running, "never", timeout=1)
    except TimeoutError as error:
        print(type(error).__name__)
    try:
        DockerContainer("nosuch/image:at-all").with_kwargs(pull_policy="never").start()
    except Exception as error:  # noqa: BLE001  (whatever class it is, both daemons must lead to it)
        print(type(error).__name__)


warnings.simplefilter("ignore")
for part in (ports_and_logs, waiting, networks, mounts_and_limits, failing):
    print(part.__name__)
    part()
