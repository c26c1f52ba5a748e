# SPDX-License-Identifier: Apache-2.0
"""Pulls from Debian's docker-registry, in a network namespace of its own, into real stores.

Needs root, docker-registry and skopeo; installs them or fails.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PORT = 5000
PULL = """
import json, sys
from holdfast import content, images, metadata, snapshots
from holdfast.distribution import Credentials, Puller, Registries
from holdfast.errors import HoldfastError
from holdfast.oci import platform, reference

root, name, wish, user, password = sys.argv[1:6]
records, blobs = metadata.Store(root + "/metadata.db"), content.Store(root + "/content")
store = images.Store(records, blobs, snapshots.open_driver("overlay2", root))
puller = Puller(store=blobs, images=store, registries=Registries())
told = []
parsed = reference.parse(name)
pull = puller.pull if parsed.tag or parsed.digest else puller.pull_all
try:
    pull(parsed, platform=platform.parse(wish, "x86_64") if wish else None,
         credentials=Credentials(username=user, password=password), progress=told.append)
    error = ""
except HoldfastError as failure:
    error = failure.message
print(json.dumps({"told": told, "error": error, "images": [
    [image.id, list(image.repo_tags), list(image.repo_digests), store.snapshots.layers(image.chain_id)]
    for image in store.list()
]}))
"""


def need(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *missing], check=False, timeout=300)
    for program in programs:
        if shutil.which(program) is None:
            pytest.fail(f"{program} is not installed and could not be installed")


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class Layout:
    """An OCI layout on disk, for skopeo to push."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[dict[str, Any]] = []
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def put(self, media_type: str, data: bytes) -> dict[str, Any]:
        digest = sha256(data)
        (self.path / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def image(self, tag: str, architecture: str, *tars: bytes) -> dict[str, Any]:
        layers = [self.put("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(tar, mtime=0)) for tar in tars]
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/x"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.put("application/vnd.oci.image.config.v1+json", json.dumps(config).encode()),
            "layers": layers,
        }
        entry = self.put(manifest["mediaType"], json.dumps(manifest).encode())
        entry["platform"] = {"os": "linux", "architecture": architecture}
        self.entries.append({**entry, "annotations": {"org.opencontainers.image.ref.name": tag}})
        return entry

    def index(self, tag: str, *entries: dict[str, Any]) -> None:
        media_type = "application/vnd.oci.image.index.v1+json"
        document = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(entries)}
        entry = self.put(media_type, json.dumps(document).encode())
        self.entries.append({**entry, "annotations": {"org.opencontainers.image.ref.name": tag}})

    def close(self) -> None:
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.entries}))


class Registry:
    """docker-registry behind its own loopback."""

    def __init__(self, root: Path, htpasswd: str = "") -> None:
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(root / "registry")}},
            "http": {"addr": f"127.0.0.1:{PORT}"},
        }
        if htpasswd:
            (root / "htpasswd").write_text(htpasswd)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(root / "htpasswd")}}
        (root / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        script = f"ip link set lo up && exec docker-registry serve {root}/config.yml"
        self.process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", script],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.wait_ready()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "--", *command]
        return subprocess.run(inside, capture_output=True, text=True, timeout=60, check=False)

    def wait_ready(self) -> None:
        for _ in range(100):
            probe = "import socket,sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 1)"
            if self.run(sys.executable, "-c", probe, str(PORT)).returncode == 0:
                return
            time.sleep(0.1)
        pytest.fail("docker-registry does not listen")

    def push(self, layout: Path, tag: str, name: str, *options: str) -> None:
        done = self.run(
            "skopeo", "copy", "--quiet", "--dest-tls-verify=false", *options, f"oci:{layout}:{tag}", f"docker://{name}"
        )
        assert done.returncode == 0, done.stderr

    def pull(self, root: Path, name: str, *, platform: str = "", user: str = "", password: str = "") -> Any:
        root.mkdir(exist_ok=True)
        done = self.run(sys.executable, "-c", PULL, str(root), name, platform, user, password)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def close(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


BASE = layer(base=b"base" * 5000)
TOP = layer(top=b"top" * 4000)
NAME = f"127.0.0.1:{PORT}/library/thing"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    need("docker-registry", "skopeo", "nsenter", "unshare", "ip")
    root = tmp_path_factory.mktemp("registry")
    made = Registry(root)
    try:
        layout = Layout(root / "layout")
        layout.image("one", "amd64", BASE, TOP)
        layout.image("two", "amd64", BASE, layer(other=b"other"))
        entries = [layout.image(f"arch-{name}", name, layer(arch=name.encode())) for name in ("amd64", "arm64")]
        layout.index("many", *entries)
        layout.close()
        made.push(layout.path, "one", f"{NAME}:one")
        made.push(layout.path, "two", f"{NAME}:two")
        made.push(layout.path, "one", f"{NAME}:docker", "--format", "v2s2")
        made.push(layout.path, "many", f"{NAME}:many", "--all")
        yield made
    finally:
        made.close()


def statuses(answer: Any) -> list[str]:
    return [message["status"] for message in answer["told"]]


def test_a_pull_unpacks_and_a_second_one_transfers_nothing(registry: Registry, tmp_path: Path) -> None:
    first = registry.pull(tmp_path, f"{NAME}:one")
    second = registry.pull(tmp_path, f"{NAME}:one")

    assert first["error"] == second["error"] == ""
    [[_, tags, _, layers]] = first["images"]
    assert tags == [f"{NAME}:one"]
    assert Path(layers[0], "top").read_bytes() == b"top" * 4000
    assert Path(layers[1], "base").read_bytes() == b"base" * 5000
    assert statuses(first).count("Pull complete") == 2
    assert statuses(first)[-1] == f"Status: Downloaded newer image for {NAME}:one"
    assert [text.split(":")[0] for text in statuses(second)] == ["Pulling from library/thing", "Digest", "Status"]
    assert statuses(second)[-1] == f"Status: Image is up to date for {NAME}:one"


def test_a_shared_layer_already_exists(registry: Registry, tmp_path: Path) -> None:
    registry.pull(tmp_path, f"{NAME}:one")

    answer = registry.pull(tmp_path, f"{NAME}:two")

    assert statuses(answer).count("Already exists") == 1
    assert statuses(answer).count("Pull complete") == 1


def test_dockers_manifest_of_the_same_image_is_the_same_image(registry: Registry, tmp_path: Path) -> None:
    registry.pull(tmp_path, f"{NAME}:one")

    answer = registry.pull(tmp_path, f"{NAME}:docker")

    [[_, tags, pinned, _]] = answer["images"]
    assert tags == [f"{NAME}:docker", f"{NAME}:one"]
    assert len(pinned) == 2


def test_an_index_gives_each_platform_its_own(registry: Registry, tmp_path: Path) -> None:
    for name in ("amd64", "arm64"):
        answer = registry.pull(tmp_path / name, f"{NAME}:many", platform=f"linux/{name}")

        [[_, _, _, layers]] = answer["images"]
        assert Path(layers[0], "arch").read_text() == name


def test_a_digest_pulls_what_the_tag_names(registry: Registry, tmp_path: Path) -> None:
    tagged = registry.pull(tmp_path / "tag", f"{NAME}:one")
    [[image, _, [pinned], _]] = tagged["images"]

    answer = registry.pull(tmp_path / "digest", pinned)

    assert answer["images"][0][:3] == [image, [], [pinned]]
    wrong = pinned[:-4] + ("0000" if pinned[-4:] != "0000" else "1111")
    assert "not found: manifest unknown: manifest unknown" in registry.pull(tmp_path / "digest", wrong)["error"]


def test_without_a_tag_every_tag_is_pulled(registry: Registry, tmp_path: Path) -> None:
    answer = registry.pull(tmp_path, NAME)

    assert {tag for _, tags, _, _ in answer["images"] for tag in tags} == {
        f"{NAME}:{tag}" for tag in ("docker", "many", "one", "two")
    }
    assert statuses(answer)[-1] == f"Status: Downloaded newer image for {NAME}"


def test_a_registry_with_passwords_wants_one(tmp_path: Path) -> None:
    need("docker-registry", "skopeo", "nsenter", "unshare", "ip")
    secret = "secret"
    # bcrypt of the secret
    registry = Registry(tmp_path, "alice:$2b$04$NcwgnbYXP3Lq9tx5BS6vF.STsQ8VNTGXjflEbha9juW40y4RaDFc6\n")
    try:
        layout = Layout(tmp_path / "layout")
        layout.image("one", "amd64", BASE)
        layout.close()
        registry.push(layout.path, "one", f"{NAME}:one", f"--dest-creds=alice:{secret}")

        nobody = registry.pull(tmp_path / "data", f"{NAME}:one")
        wrong = registry.pull(tmp_path / "data", f"{NAME}:one", user="alice", password="wrong")
        right = registry.pull(tmp_path / "data", f"{NAME}:one", user="alice", password=secret)
    finally:
        registry.close()

    assert "no basic auth credentials" in nobody["error"]
    assert wrong["error"] == "unauthorized: authentication required"
    assert "wrong" not in wrong["error"]
    assert right["error"] == ""
