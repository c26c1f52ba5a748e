# SPDX-License-Identifier: Apache-2.0
"""CDI files: which devices they give, what those change in a spec, and what is wrong with a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.containers import cdi, device_requests, devices
from holdfast.containers.config import DeviceRequest, HostConfig
from holdfast.errors import InvalidArgument


def write(directory: Path, name: str = "x.json", **document: Any) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(json.dumps({"cdiVersion": "0.6.0", "kind": "vendor.com/class", **document}))


def device(name: str, **edits: Any) -> dict[str, Any]:
    return {"name": name, "containerEdits": edits}


def test_the_edits_of_the_file_come_once_and_before_the_devices_own(tmp_path: Path) -> None:
    write(
        tmp_path,
        containerEdits={"env": ["ALL=1"], "additionalGids": [44, 0]},
        devices=[device("a", env=["A=1"]), device("b", env=["B=1"])],
    )

    edits = cdi.resolve(["vendor.com/class=a", "vendor.com/class=b"], [str(tmp_path)])

    assert edits.environment == ["ALL=1", "A=1", "B=1"]
    assert edits.groups == [44]


def test_nodes_mounts_and_hooks(tmp_path: Path) -> None:
    hook = {"hookName": "createContainer", "path": "/bin/true", "args": ["true", "x"]}
    mount = {"hostPath": "/lib", "containerPath": "/vendor/lib"}
    node = {"path": "/dev/thing", "hostPath": "/dev/null", "permissions": "r"}
    write(tmp_path, devices=[device("a", deviceNodes=[node], mounts=[mount], hooks=[hook])])
    document: dict[str, Any] = {
        "process": {"env": ["A=1"], "user": {"additionalGids": [0]}},
        "mounts": [],
    }

    edits = cdi.resolve(["vendor.com/class=a"], [str(tmp_path)])
    cdi.apply(edits, document)
    found = devices.from_cdi(edits.nodes[0])

    assert (found.path, found.kind, found.major, found.minor, found.access) == ("/dev/thing", "c", 1, 3, "r")
    assert document["mounts"][0]["destination"] == "/vendor/lib"
    assert "rbind" in document["mounts"][0]["options"]
    assert document["hooks"] == {"createContainer": [{"path": "/bin/true", "args": ["true", "x"]}]}


def test_a_node_may_be_described_in_full_and_not_exist(tmp_path: Path) -> None:
    node = {"path": "/dev/none", "type": "b", "major": 7, "minor": 9, "fileMode": 0o600, "uid": 5, "gid": 6}
    write(tmp_path, devices=[device("a", deviceNodes=[node]), device("b", deviceNodes=[{"path": "/dev/no-such"}])])

    one, other = (cdi.resolve([f"vendor.com/class={name}"], [str(tmp_path)]).nodes[0] for name in "ab")

    found = devices.from_cdi(one)
    assert (found.kind, found.major, found.minor, found.mode, found.uid, found.gid) == ("b", 7, 9, 0o600, 5, 6)
    with pytest.raises(InvalidArgument, match="/dev/no-such: no such file or directory"):
        devices.from_cdi(other)


def test_the_environment_of_a_device_replaces_the_containers(tmp_path: Path) -> None:
    write(tmp_path, devices=[device("a", env=["A=2"])])
    document: dict[str, Any] = {"process": {"env": ["A=1", "B=1"], "user": {"additionalGids": [0]}}, "mounts": []}

    cdi.apply(cdi.resolve(["vendor.com/class=a"], [str(tmp_path)]), document)

    assert document["process"]["env"] == ["B=1", "A=2"]
    assert "hooks" not in document


def test_a_later_directory_goes_before_an_earlier_one(tmp_path: Path) -> None:
    write(tmp_path / "etc", devices=[device("a", env=["FROM=etc"])])
    write(tmp_path / "run", devices=[device("a", env=["FROM=run"])])

    edits = cdi.resolve(["vendor.com/class=a"], [str(tmp_path / "etc"), str(tmp_path / "run")])

    assert edits.environment == ["FROM=run"]


def test_a_device_that_is_described_twice_is_nobodys(tmp_path: Path) -> None:
    write(tmp_path, "a.json", devices=[device("a")])
    write(tmp_path, "b.json", devices=[device("a")])

    with pytest.raises(InvalidArgument, match=r"unresolvable CDI devices .*described twice"):
        cdi.resolve(["vendor.com/class=a"], [str(tmp_path)])


def test_yaml_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "n.yaml").write_text(
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: '0'\n  containerEdits: {env: [N=0]}\n"
        "- name: all\n  containerEdits: {env: [N=all]}\n"
    )

    assert cdi.names([str(tmp_path)]) == ["nvidia.com/gpu=0", "nvidia.com/gpu=all"]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"cdiVersion": "9.0.0", "kind": "a.b/c", "devices": []}',
        '{"cdiVersion": "0.6.0", "kind": "nothing", "devices": []}',
        '{"cdiVersion": "0.6.0", "kind": "a.b/c", "devices": {}}',
        '{"cdiVersion": "0.6.0", "kind": "a.b/c", "devices": [{"name": "../x"}]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_named_and_hides_no_other(tmp_path: Path, content: str) -> None:
    write(tmp_path, devices=[device("a")])
    (tmp_path / "bad.json").write_text(content)

    cdi.resolve(["vendor.com/class=a"], [str(tmp_path)])
    with pytest.raises(InvalidArgument, match=r"unresolvable CDI devices a\.b/c=x .*bad\.json"):
        cdi.resolve(["a.b/c=x"], [str(tmp_path)])


@pytest.mark.parametrize(
    "edits",
    [
        {"hooks": [{"hookName": "poststop", "path": "/x"}]},
        {"hooks": [{"hookName": "prestart", "path": "x"}]},
        {"mounts": [{"hostPath": "x", "containerPath": "/x"}]},
        {"deviceNodes": [{"path": "/dev/x", "permissions": "z"}]},
        {"deviceNodes": [{"path": "/dev/x", "major": "1"}]},
        {"env": [1]},
        {"intelRdt": {"closID": "x"}},
    ],
)
def test_edits_that_cannot_be_carried_out_are_refused(tmp_path: Path, edits: dict[str, Any]) -> None:
    write(tmp_path, devices=[device("a", **edits)])

    with pytest.raises(InvalidArgument, match=r"^CDI device injection failed: "):
        cdi.resolve(["vendor.com/class=a"], [str(tmp_path)])


def test_without_directories_there_is_no_device() -> None:
    with pytest.raises(
        InvalidArgument, match="CDI device injection failed: no CDI specification directories specified"
    ):
        cdi.resolve(["vendor.com/class=a"], [])


def test_devices_are_found_with_what_is_wrong_beside_them(tmp_path: Path) -> None:
    write(tmp_path, devices=[device("b"), device("a")])
    (tmp_path / "y.json").write_text("{")

    found, troubles = cdi.discover([str(tmp_path), "/nosuch"])

    assert found == ["vendor.com/class=a", "vendor.com/class=b"]
    assert [text.startswith(f"{tmp_path}/y.json: it is not JSON") for text in troubles] == [True]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("vendor.com/class=name", True), ("a/b=0", True), ("/dev/x", False), ("a/b", False), ("a/b=", False)],
)
def test_qualified_names(text: str, is_one: bool) -> None:
    assert cdi.is_qualified(text) is is_one


def test_gpus_are_those_that_cdi_describes(tmp_path: Path) -> None:
    write(tmp_path, kind="nvidia.com/gpu", devices=[device(name, env=[f"N={name}"]) for name in ("0", "1", "all")])

    def chosen(**request: Any) -> list[str]:
        host = HostConfig(device_requests=[DeviceRequest(capabilities=[["gpu"]], **request)])
        edits = device_requests.edits_for(host, [str(tmp_path)])
        assert edits is not None
        return edits.environment

    assert chosen(count=-1) == ["N=all"]
    assert chosen(count=1) == ["N=0"]
    assert chosen(device_ids=["1"], driver="nvidia") == ["N=1"]
    with pytest.raises(InvalidArgument, match=r'could not select device driver "other" with capabilities: \[\[gpu\]\]'):
        chosen(driver="other")
    assert device_requests.edits_for(HostConfig(), [str(tmp_path)]) is None
