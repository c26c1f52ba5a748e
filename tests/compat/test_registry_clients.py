# SPDX-License-Identifier: Apache-2.0
"""Holdfast's registry with other people's clients: dockerd, podman, skopeo, ORAS, docker's `manifest`, and our own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from compat_case import Daemon

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES = REPOSITORY.parent / "shared" / "images"
AT = "127.0.0.1:5006"


class Registry:
    """One registry in a namespace, and a shell beside it."""

    def __init__(self, netns: str, folder: Path) -> None:
        self.inside = ["nsenter", f"--net=/run/netns/{netns}"]
        self.folder = folder
        command = [
            sys.executable,
            "-m",
            "holdfast.registry.main",
            "--listen",
            AT,
            "--root",
            str(folder / "root"),
            "--delete",
        ]
        self.process = subprocess.Popen([*self.inside, *command], stderr=subprocess.DEVNULL)
        self.sh(f"curl -s -o /dev/null --retry 100 --retry-delay 0 --retry-connrefused http://{AT}/v2/")

    def sh(self, script: str) -> str:
        done = subprocess.run(
            [*self.inside, "bash", "-ec", script],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def registry(holdfastd: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = Registry(holdfastd.netns, tmp_path_factory.mktemp("clients"))
    yield made
    made.process.kill()
    made.process.wait()


def test_skopeo_copies_in_and_out_with_the_same_digest(registry: Registry) -> None:
    out = registry.sh(f"""
        skopeo copy -q --dest-tls-verify=false oci:{IMAGES}/alpine-3.20:3.20 docker://{AT}/skopeo/alpine:1
        skopeo copy -q --src-tls-verify=false docker://{AT}/skopeo/alpine:1 oci:out:1
        skopeo inspect --raw oci:{IMAGES}/alpine-3.20:3.20 | sha256sum; skopeo inspect --raw oci:out:1 | sha256sum
        skopeo copy -q --src-tls-verify=false --dest-tls-verify=false docker://{AT}/skopeo/alpine:1 docker://{AT}/skopeo/other:1
        skopeo list-tags --tls-verify=false docker://{AT}/skopeo/other | jq -c .Tags
        skopeo delete --tls-verify=false docker://{AT}/skopeo/other:1
        ! skopeo inspect --tls-verify=false docker://{AT}/skopeo/other:1 2>/dev/null
    """)

    went, came, tags = out.split("\n")[:3]
    assert went == came
    assert tags == '["1"]'


def test_oras_keeps_artifacts(registry: Registry) -> None:
    out = registry.sh(f"mkdir oras && cd oras && {sys.executable} {Path(__file__).parent}/oras_script.py {AT}")

    said = json.loads(out.splitlines()[-1])
    assert said.pop("digest").startswith("sha256:")
    assert said == {
        "tags": ["v1", "v2"],
        "same": [True, True],
        "annotations": {"made": "here"},
        "missing": False,
        "deleted": True,
        "left": ["v2"],
    }


def test_podman_pushes_and_pulls(registry: Registry) -> None:
    out = registry.sh(f"""
        short=$(mktemp -d /tmp/hf.XXXXXX); trap "rm -rf $short" EXIT  # podman wants a runroot of 50 characters at most
        podman="podman --root $PWD/podman --runroot $short --storage-driver vfs --cgroup-manager cgroupfs"
        $podman pull -q oci:{IMAGES}/busybox-1.37.0-musl:busybox:1.37.0-musl > id
        $podman push -q --tls-verify=false $(cat id) {AT}/podman/box:1
        $podman rmi -f $(cat id) >/dev/null
        $podman pull -q --tls-verify=false {AT}/podman/box:1 | cmp - id && echo same
        $podman rmi -af >/dev/null
    """)

    assert out.split() == ["same"]


def test_docker_pushes_and_pulls(registry: Registry, holdfastd: Daemon) -> None:
    done = holdfastd.sh(f"""
        docker tag alpine:3.20 {AT}/docker/alpine:1; docker push {AT}/docker/alpine:1 | grep -o 'digest: sha256:[0-9a-f]*'
        docker rmi {AT}/docker/alpine:1 >/dev/null; docker pull {AT}/docker/alpine:1 | grep -oi 'digest: sha256:[0-9a-f]*'
        docker run --rm {AT}/docker/alpine:1 cat /etc/alpine-release
        docker rmi -f {AT}/docker/alpine:1 >/dev/null
    """)

    pushed, pulled, release = done.stdout.lower().splitlines()
    assert pushed == pulled, done.stderr
    assert release.startswith("3.20")


def test_dockerd_pulls_what_holdfast_pushed_and_the_other_way(
    dockerd: Daemon, holdfastd: Daemon, tmp_path: Path
) -> None:
    """Each daemon has a registry at its own loopback, both over one root, one after the other."""
    ids: list[str] = []
    for number, (pusher, puller) in enumerate(((holdfastd, dockerd), (dockerd, holdfastd))):
        name = f"{AT}/cross/alpine:{number}"
        for daemon, script in (
            (pusher, f"docker tag alpine:3.20 {name}; docker push -q {name} && docker rmi {name} >/dev/null"),
            (puller, f"docker pull -q {name} && docker inspect -f '{{{{.Id}}}}' {name}; docker rmi {name} >/dev/null"),
        ):
            port = 5008 + number
            command = [
                "-m",
                "holdfast.registry.main",
                "--root",
                str(tmp_path / "root"),
                "--listen",
                f"127.0.0.1:{port}",
            ]
            inside = ["nsenter", f"--net=/run/netns/{daemon.netns}"]
            registry = subprocess.Popen([*inside, sys.executable, *command], stderr=subprocess.DEVNULL)
            try:
                wait = "curl -s -o /dev/null --retry 100 --retry-delay 0 --retry-connrefused"
                done = daemon.sh(f"{wait} http://127.0.0.1:{port}/v2/; " + script.replace(AT, f"127.0.0.1:{port}"))
                assert done.returncode == 0, f"{daemon.name}: {done.stdout}{done.stderr}"
            finally:
                registry.terminate()
                registry.wait()
        ids.append(done.stdout.split()[-1])

    assert ids[0] == ids[1]


def test_docker_manifest_makes_a_list_that_every_platform_pulls(registry: Registry, holdfastd: Daemon) -> None:
    name = f"{AT}/many/box"
    registry.sh(f"""
        skopeo copy -q --dest-tls-verify=false oci:{IMAGES}/busybox-1.37.0-musl:busybox:1.37.0-musl docker://{name}:amd64
        skopeo copy -q --dest-tls-verify=false oci:{IMAGES}/alpine-3.20:3.20 docker://{name}:arm64
    """)
    done = holdfastd.sh(f"""
        export DOCKER_CONFIG=$(mktemp -d); set -e
        docker manifest create --insecure {name}:all {name}:amd64 {name}:arm64
        docker manifest annotate --os linux --arch arm64 --variant v8 {name}:all {name}:arm64
        docker manifest inspect --insecure {name}:all | jq -c '[.manifests[].platform.architecture]'
        docker manifest push --insecure {name}:all
        docker manifest inspect --insecure {name}:all | jq -c '[.manifests[].platform.architecture]'
        docker manifest rm {name}:all 2>&1 || true
        docker pull -q --platform linux/arm64/v8 {name}:all; docker run --rm {name}:all cat /etc/alpine-release
        curl -s --unix-socket $SOCKET http://d/v1.47/distribution/{name}:all/json | jq -c '[.Platforms[].architecture]'
        docker rmi {name}:all >/dev/null
    """)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('["amd64","arm64"]') == 3
    assert "3.20" in done.stdout


def test_hold_works_with_it(registry: Registry, holdfastd: Daemon, tmp_path: Path) -> None:
    hold = f"DOCKER_CONFIG={tmp_path} HOLDFAST_HOST=unix://{holdfastd.socket} {REPOSITORY}/hold"
    done = holdfastd.sh(f"""
        docker tag alpine:3.20 {AT}/hold/alpine:1; {hold} push {AT}/hold/alpine:1; docker rmi {AT}/hold/alpine:1 >/dev/null
        {hold} pull {AT}/hold/alpine:1; docker rmi {AT}/hold/alpine:1 >/dev/null
        docker tag alpine:3.20 localhost:5990/x:1; {hold} push localhost:5990/x:1; docker rmi localhost:5990/x:1 >/dev/null
    """)

    assert "1: digest: sha256:" in done.stdout
    assert "Status: " in done.stdout
    assert done.stderr.endswith("start one with `hold registry serve --listen localhost:5990`\n"), done.stderr
