# SPDX-License-Identifier: Apache-2.0
"""`_ping`, `version`, `info` and `events`, over a socket."""

import asyncio
import json
import time

import msgspec
import pytest

from holdfast.api import facts
from holdfast.api.routes import system
from holdfast.distribution.proxies import Proxies
from holdfast.engine.events import Events

HOST = facts.Host(
    name="box", kernel_version="6.1", operating_system="Debian", os_version="12", machine="aarch64", cpus=4,
    memory_bytes=1 << 30, cgroup_version="2", cgroup_controllers=frozenset({"memory", "cpu", "pids"}),
    has_swap_accounting=True,
)  # fmt: skip


async def count():
    return system.Counts(containers=3, running=1, paused=1, stopped=1, images=2)


SYSTEM = system.System(
    program=facts.Program(version="9.9"), host=HOST, daemon_id="id", data_root="/data", storage_driver="overlay2",
    storage_status=(("Backing Filesystem", "extfs"),), log_driver="json-file", log_drivers=("json-file",),
    network_drivers=("bridge",), default_runtime="runc", runtimes={"runc": "runc"}, seccomp_profile="builtin",
    has_no_new_privileges=False, init_binary="docker-init", cdi_spec_directories=("/etc/cdi",),
    insecure_registries=("reg.example:5000", "10.0.0.0/8"), registry_mirrors=(), default_address_pools=(("10.88.0.0/16", 24),), labels=("a=b",),
    proxies=Proxies("http://me:secret@proxy:3128", "http://proxy:3129", "localhost"),
    forwards_ipv4=True, is_debugging=lambda: False, warnings=("careful",), count=count,
)  # fmt: skip


@pytest.fixture
def events():
    return Events()


@pytest.fixture
async def running(start, events):
    return await start(system.routes(SYSTEM, events))


async def test_ping_tells_what_clients_negotiate_with(running):
    for method, body in (("GET", b"OK"), ("HEAD", b"")):
        answer = await running.ask(method, "/_ping")

        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["builder-version"] == "1"
        assert answer.headers["swarm"] == "inactive"
        assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"


async def test_version_names_the_api_range(running):
    version = json.loads((await running.ask("GET", "/version")).body)

    assert (version["ApiVersion"], version["MinAPIVersion"]) == ("1.51", "1.24")
    assert (version["Version"], version["Arch"], version["Os"]) == ("9.9", "arm64", "linux")
    assert version["Components"][0]["Details"]["KernelVersion"] == "6.1"


async def test_info_counts_and_describes(running):
    info = json.loads((await running.ask("GET", "/info")).body)

    assert [info[key] for key in ("Containers", "ContainersRunning", "ContainersPaused", "Images")] == [3, 1, 1, 2]
    assert (info["CPUSet"], info["PidsLimit"], info["OomKillDisable"]) == (False, True, False)
    assert info["SecurityOptions"] == ["name=seccomp,profile=builtin", "name=cgroupns"]
    assert info["RegistryConfig"]["InsecureRegistryCIDRs"][0] == "10.0.0.0/8"
    assert info["DefaultAddressPools"] == [{"Base": "10.88.0.0/16", "Size": 24}]
    assert info["RegistryConfig"]["IndexConfigs"]["reg.example:5000"]["Secure"] is False
    assert info["Warnings"] == ["careful"]
    assert info["Swarm"]["LocalNodeState"] == "inactive"


async def test_devices_are_told_since_1_50(start, events):
    async def counted():
        return system.Counts(
            containers=0,
            running=0,
            paused=0,
            stopped=0,
            images=0,
            devices=("v.com/c=a",),
            device_troubles=("/x.json: no",),
        )

    running = await start(
        system.routes(msgspec.structs.replace(SYSTEM, count=counted, seccomp_profile="unconfined"), events)
    )
    older, newer = [json.loads((await running.ask("GET", f"/v1.{minor}/info")).body) for minor in (49, 50)]

    assert newer["DiscoveredDevices"] == [{"Source": "cdi", "ID": "v.com/c=a"}]
    assert newer["Warnings"] == ["careful", "CDI: /x.json: no"]
    assert "name=seccomp,profile=unconfined" in newer["SecurityOptions"]
    assert "DiscoveredDevices" not in older


async def test_events_replay_and_end_at_until(running, events):
    events.publish("container", "start", "abc", {"name": "x"})

    before = await running.ask("GET", "/events?since=0&until=1")
    until_now = await running.ask("GET", f"/events?since=0&until={time.time_ns() / 1e9:.9f}")

    assert b"start" not in before.body
    assert b'"Action":"start"' in until_now.body


async def test_a_live_event_arrives_as_one_line(running, events):
    reader, writer = await asyncio.open_unix_connection(running.path)
    writer.write(b'GET /events?filters={"type":["container"]} HTTP/1.1\r\nHost: d\r\n\r\n'.replace(b'"', b"%22"))
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    await asyncio.sleep(0.02)

    events.publish("image", "pull", "i", {})
    events.publish("container", "die", "abc", {"exitCode": "0"})

    await asyncio.wait_for(reader.readline(), 5)
    event = json.loads(await asyncio.wait_for(reader.readline(), 5))
    assert (event["Type"], event["Action"], event["Actor"]["ID"]) == ("container", "die", "abc")
    writer.close()


@pytest.mark.parametrize("query", ["since=x", "since=5&until=4", "filters=xx"])
async def test_wrong_event_queries_are_400(running, query):
    assert (await running.ask("GET", f"/events?{query}")).status == 400


def test_the_machine_is_read():
    host = facts.gather("1", frozenset({"memory"}))

    assert host.cpus > 0
    assert host.memory_bytes > 1 << 20
    assert host.kernel_version


async def test_info_shows_proxies_without_their_passwords(running):
    answer = await running.ask("GET", "/info")
    info = json.loads(answer.body)

    assert info["HttpProxy"] == "http://xxxxx:xxxxx@proxy:3128"
    assert (info["HttpsProxy"], info["NoProxy"]) == ("http://proxy:3129", "localhost")
    assert b"secret" not in answer.body
