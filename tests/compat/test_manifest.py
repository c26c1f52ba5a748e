# SPDX-License-Identifier: Apache-2.0
"""`hold manifest` and `docker manifest` at the same registry say the same and make the same lists, byte for byte.

Each script runs with both, against Debian's docker-registry and against Holdfast's own, in namespaces of their own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES = REPOSITORY.parent / "shared" / "images"
R = "127.0.0.1:5001"
CREATE = f"docker manifest create --insecure {R}/m/list:1 {R}/m/one:oci {R}/m/one:v2s2 {R}/other/hello:1"
ANNOTATE = f"docker manifest annotate {R}/m/list:1 {R}/m/one:v2s2 --arch arm64"
PUSH = f"{CREATE}; {ANNOTATE} --variant v8; docker manifest push {R}/m/list:1"


class Script(NamedTuple):
    """What both do."""

    name: str
    text: str

    @property
    def is_for_both(self) -> bool:
        """Whether it says something of the registry, too."""
        return PUSH in self.text or "of the registry" in self.name or "no such" in self.name


SCRIPTS = [
    Script("create", f"{CREATE}; docker manifest inspect {R}/m/list:1"),
    Script("what is kept", f"{CREATE} >/dev/null; cd $DOCKER_CONFIG/manifests; for f in */*; do echo $f; jq -S . $f; done"),
    Script("create twice", f"{CREATE}; {CREATE}"),
    Script("amend", f"{CREATE}; docker manifest create --insecure -a {R}/m/list:1 {R}/m/one:oci; docker manifest inspect {R}/m/list:1"),
    Script("one of a list", f"{CREATE}; docker manifest inspect {R}/m/list:1 {R}/m/one:v2s2"),
    Script("one of a list, verbose", f"{CREATE}; docker manifest inspect -v {R}/m/list:1 {R}/m/one:oci"),
    Script("a list, verbose", f"{CREATE}; docker manifest inspect -v {R}/m/list:1"),
    Script(
        "annotate",
        f"{CREATE}; {ANNOTATE} --variant v8 --os-features a --os-features b,a --os-version '<1.2>'; docker manifest inspect {R}/m/list:1",
    ),
    Script("annotate, unsupported", f"{CREATE}; docker manifest annotate {R}/m/list:1 {R}/m/one:oci --os plan9 --arch arm64"),
    Script("annotate, not in the list", f"{CREATE}; docker manifest annotate {R}/m/list:1 {R}/m/nosuch --arch arm64"),
    Script("annotate, no such list", f"docker manifest annotate {R}/m/list:1 {R}/m/nosuch --arch arm64"),
    Script("annotate, wrong names", "docker manifest annotate A:B c --os linux; docker manifest annotate c A:B --os linux"),
    Script("push", PUSH),
    Script("push and look", f"{PUSH}; docker manifest rm {R}/m/list:1; docker manifest inspect --insecure {R}/m/list:1"),
    Script("push and look, verbose", f"{PUSH}; docker manifest rm {R}/m/list:1; docker manifest inspect -v --insecure {R}/m/list:1"),
    Script("push and purge", f"{PUSH} -p; ls $DOCKER_CONFIG/manifests; docker manifest push {R}/m/list:1"),
    Script(
        "a list of Docker's manifests",
        f"docker manifest create --insecure {R}/m/old:1 {R}/m/one:v2s2; docker manifest push {R}/m/old:1; docker manifest inspect {R}/m/old:1",
    ),
    Script(
        "by digest",
        f"D=$(docker manifest inspect -v --insecure {R}/m/one:oci | jq -r .Descriptor.digest); "
        f"docker manifest create --insecure {R}/m/pinned {R}/m/one@$D; ls $DOCKER_CONFIG/manifests/*; docker manifest push {R}/m/pinned",
    ),
    Script("an image of the registry", f"docker manifest inspect --insecure {R}/m/one:v2s2"),
    Script("an image of the registry, verbose", f"docker manifest inspect --insecure -v {R}/m/one:oci"),
    Script("no such manifest", f"docker manifest inspect --insecure {R}/m/nosuch"),
    Script("no such repository", f"docker manifest inspect --insecure {R}/no/such:1"),
    Script("create of nothing", f"docker manifest create --insecure {R}/m/new {R}/m/nosuch; ls $DOCKER_CONFIG"),
    Script("a list in a list", f"{PUSH}; docker manifest create --insecure {R}/m/new {R}/m/list:1"),
    Script("another registry", f"docker manifest create --insecure 127.0.0.1:5999/m/new {R}/m/one:oci; docker manifest push 127.0.0.1:5999/m/new"),
    Script("another registry, looked at", f"docker manifest create --insecure 127.0.0.1:5999/m/new {R}/m/one:oci; docker manifest inspect 127.0.0.1:5999/m/new"),
    Script("rm", f"{CREATE}; docker manifest rm {R}/m/list:1 {R}/m/nosuch A:B; ls $DOCKER_CONFIG/manifests"),
    Script("wrong name", "docker manifest inspect A:B"),
    Script("push of nothing", f"docker manifest push {R}/m/nosuch"),
]  # fmt: skip


@pytest.fixture(scope="module")
def debians(
    start_registry: Callable[..., AbstractContextManager[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A namespace with Debian's docker-registry."""
    with namespace(f"hf-manifest-{os.getpid()}") as netns, start_registry(netns, tmp_path_factory.mktemp("debians")):
        fill(netns)
        yield netns


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A namespace with Holdfast's registry."""
    with namespace(f"hf-manifests-{os.getpid()}") as netns:
        serve = [sys.executable, "-m", "holdfast.registry.main", "--listen", R]
        process = subprocess.Popen([*inside(netns), *serve, "--root", str(tmp_path_factory.mktemp("ours"))])
        try:
            probe = ["curl", "-fs", "--retry", "100", "--retry-delay", "0", "--retry-connrefused", f"http://{R}/v2/"]
            subprocess.run([*inside(netns), *probe], check=True, stdout=subprocess.DEVNULL)
            fill(netns)
            yield netns
        finally:
            process.kill()
            process.wait()


@contextmanager
def namespace(name: str) -> Generator[str]:
    """A network namespace with its loopback."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run([*inside(name), "ip", "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def inside(netns: str) -> list[str]:
    return ["nsenter", f"--net=/run/netns/{netns}"]


def fill(netns: str) -> None:
    """OCI's and Docker's form of an image, and one more in another repository."""
    for layout, name, form in (
        ("alpine-3.20:3.20", "m/one:oci", "oci"),
        ("busybox-1.37.0-musl:busybox:1.37.0-musl", "m/one:v2s2", "v2s2"),
        ("hello-world", "other/hello:1", "oci"),
    ):
        copy = ["skopeo", "copy", "-q", "--dest-tls-verify=false", "--format", form, f"oci:{IMAGES}/{layout}"]
        subprocess.run([*inside(netns), *copy, f"docker://{R}/{name}"], check=True)


def said(netns: str, script: str, folder: Path, program: str) -> tuple[str, str, int]:
    """Output, errors and exit code of a script whose `docker` is the program."""
    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    (binaries / "docker").write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    (binaries / "docker").chmod(0o755)
    environment = {**os.environ, "DOCKER_CONFIG": str(folder / "config"), "PATH": f"{binaries}:{os.environ['PATH']}"}
    (folder / "config").mkdir()
    done = subprocess.run(
        [*inside(netns), "bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    errors = "".join(line.removeprefix("hold: ") for line in done.stderr.splitlines(keepends=True))
    return done.stdout, errors.replace(str(folder), ""), done.returncode


@pytest.mark.parametrize(
    ("registry", "script"),
    [
        *(pytest.param("debians", script, id=f"{script.name}, docker-registry") for script in SCRIPTS),
        *(pytest.param("ours", script, id=f"{script.name}, ours") for script in SCRIPTS if script.is_for_both),
    ],
)
def test_hold_manifest_does_what_docker_manifest_does(
    request: pytest.FixtureRequest, registry: str, script: Script, tmp_path: Path
) -> None:
    netns: str = request.getfixturevalue(registry)

    theirs = said(netns, script.text, tmp_path / "docker", "/usr/local/bin/docker")
    our = said(netns, script.text, tmp_path / "hold", str(REPOSITORY / "hold"))

    assert our == theirs


def test_a_list_begun_with_docker_is_pushed_with_hold(debians: str, tmp_path: Path) -> None:
    script = f"{CREATE}; {REPOSITORY}/hold manifest push -p {R}/m/list:1; docker manifest inspect {R}/m/list:1"

    out, errors, code = said(debians, script, tmp_path, "/usr/local/bin/docker")

    assert out.count("Pushed ref") == 3
    assert (errors, code) == (f"no such manifest: {R}/m/list:1\n", 1)


def test_a_list_leads_to_the_image_of_a_platform(ours: str, tmp_path: Path) -> None:
    out, errors, _ = said(ours, f"{PUSH} | tail -1", tmp_path, str(REPOSITORY / "hold"))
    skopeo = [*inside(ours), "skopeo", "inspect", "--tls-verify=false", "--override-arch", "arm64"]

    found, meant = (
        json.loads(
            subprocess.run([*skopeo, f"docker://{R}/m/{name}"], capture_output=True, text=True, check=True).stdout
        )
        for name in ("list:1", "one:v2s2")
    )

    assert errors == ""
    assert found["Digest"] == out.split()[-1]
    assert found["Layers"] == meant["Layers"]


def test_hold_reads_a_loopback_registry_without_the_flag_and_names_one_that_is_away(ours: str, tmp_path: Path) -> None:
    script = (
        f"docker manifest inspect {R}/m/one:oci | jq -r .config.mediaType; docker manifest inspect 127.0.0.1:5999/x"
    )

    out, errors, code = said(ours, script, tmp_path, str(REPOSITORY / "hold"))

    assert out == "application/vnd.oci.image.config.v1+json\n"
    assert errors == 'Get "http://127.0.0.1:5999/v2/": dial tcp 127.0.0.1:5999: connect: connection refused\n'
    assert code == 1
