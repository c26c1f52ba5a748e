# SPDX-License-Identifier: Apache-2.0
"""Push, login and search with the docker CLI say the same against dockerd and Holdfast; and what came in goes out.

Both sides use Debian's docker-registry, and for passwords Holdfast's own, each at the same address of their loopbacks.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import bcrypt
import pytest
from compat_case import Case, Daemon, Difference, compare

IMAGE = "alpine:3.20"
R = "127.0.0.1:5001"
GUARDED = "127.0.0.1:5003"
INDEX = "127.0.0.1:5004"
LOGIN = f"export DOCKER_CONFIG=$PWD; echo canary-secret | docker login -u alice --password-stdin {GUARDED} 2>/dev/null"
PLATFORMS = Difference(
    '"Platforms":null',
    '"Platforms":[{"architecture":"amd64","os":"linux"}]',
    "dockerd reads the configs of Docker's manifests only; Holdfast those of OCI's, too",
)
FIRST_URL = Difference(
    r"Head \"", 'Get "', "dockerd asks for the manifest with HEAD first; Holdfast needs no second request"
)

CASES = [
    Case("push", f"docker tag {IMAGE} {R}/push/a:1; docker push {R}/push/a:1"),
    Case("push again", f"docker tag {IMAGE} {R}/push/b:1; docker push -q {R}/push/b:1; docker push {R}/push/b:1"),
    Case(
        "every tag",
        f"docker tag {IMAGE} {R}/push/c:1; docker tag {IMAGE} {R}/push/c:2; docker push -q {R}/push/c:1; "
        f"docker push -a {R}/push/c",
    ),
    Case(
        "mount",
        f"docker tag {IMAGE} {R}/push/d:1; docker push -q {R}/push/d:1; docker rmi -f {R}/push/a:1 {R}/push/b:1 "
        f"{R}/push/c:1 {R}/push/c:2 >/dev/null 2>&1; docker tag {IMAGE} {R}/push/e:1; docker push {R}/push/e:1 "
        "| sed 's/Mounted from .*/Mounted/'",
    ),
    Case("no such image", f"docker push {R}/push/nosuch:1"),
    Case("no such tag", f"docker tag {IMAGE} {R}/push/f:1; docker push {R}/push/f:2"),
    Case("no such repository, all tags", f"docker push -a {R}/push/nosuch"),
    Case("a tag with all tags", f"docker push -a {R}/push/a:1"),
    Case("nobody listens", f"docker tag {IMAGE} 127.0.0.1:5999/x:1; docker push 127.0.0.1:5999/x:1"),
    Case(
        "another platform",
        f"docker tag {IMAGE} {R}/push/g:1; docker push --platform linux/arm64 {R}/push/g:1",
        is_error=True,
    ),
    Case("it comes back", f"docker tag {IMAGE} {R}/push/h:1; docker push -q {R}/push/h:1; docker rmi {R}/push/h:1 | head -1; "
         f"docker pull -q {R}/push/h:1; docker run --rm {R}/push/h:1 cat /etc/alpine-release"),
    Case(
        "repository digests",
        f"docker tag {IMAGE} {R}/push/i:1; docker push -q {R}/push/i:1; "
        f"docker inspect -f '{{{{json .RepoDigests}}}}' {R}/push/i:1 | tr , '\\n' | grep -c push/i@sha256",
    ),
    Case("events", f"docker tag {IMAGE} {R}/push/j:1; S=$(date +%s); docker push -q {R}/push/j:1; "
         f"docker events --since $S --until $(($(date +%s)+1)) --filter event=push --format '{{{{.Action}}}} {{{{.Actor.ID}}}} {{{{json .Actor.Attributes}}}}' | tail -1"),
    # --- passwords
    Case("login", LOGIN),
    Case("wrong password", f"export DOCKER_CONFIG=$PWD; echo wrong | docker login -u alice --password-stdin {GUARDED}"),
    Case("login where nobody listens", "echo x | docker login -u alice --password-stdin 127.0.0.1:5999"),
    Case("login where no password is asked", f"export DOCKER_CONFIG=$PWD; echo x | docker login -u a --password-stdin {R} 2>/dev/null"),
    Case("push with a password", f"{LOGIN}; docker tag {IMAGE} {GUARDED}/a/b:1; docker push {GUARDED}/a/b:1 | grep -v Pushing"),
    Case("push without a password", f"export DOCKER_CONFIG=$PWD; docker tag {IMAGE} {GUARDED}/a/c:1; docker push {GUARDED}/a/c:1"),
    Case("pull without a password", f"export DOCKER_CONFIG=$PWD; docker pull {GUARDED}/a/b:1", differs=(FIRST_URL,)),
    Case("pull after logout", f"{LOGIN}; docker logout {GUARDED}; docker pull {GUARDED}/a/b:1", differs=(FIRST_URL,)),
    # --- search, distribution inspect
    Case("search", f"docker search {INDEX}/foo"),
    Case("search, filtered", f"docker search -f is-official=true -f stars=3 --limit 3 --no-trunc {INDEX}/foo"),
    Case("search, wrong filter", f"docker search -f nosuch=1 {INDEX}/foo", is_error=True),
    Case("search, wrong stars", f"docker search -f stars=many {INDEX}/foo", is_error=True),
    Case("search, too many", f"docker search --limit 300 {INDEX}/foo"),
    Case("distribution inspect", f"curl -s --unix-socket $SOCKET http://d/v1.47/distribution/{R}/library/thing:one/json", differs=(PLATFORMS,)),
    Case("distribution inspect of nothing", f"curl -s --unix-socket $SOCKET http://d/v1.47/distribution/{R}/library/thing:nosuch/json", is_error=True),
]  # fmt: skip

SEARCH = """
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        results = [{"name": "x/foo", "description": "A <b>long\\n" + "word " * 20, "star_count": 7, "is_official": True},
                   {"name": "y/foo", "description": "", "star_count": 1, "is_official": False}]
        body = json.dumps({"num_results": 2, "results": results}).encode()
        self.send_response(200 if "/v1/" in self.path else 404)
        for name, value in (("Content-Length", len(body)), ("Content-Type", "application/json"), ("X-Docker-Registry-Version", "1")):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", 5004), Handler).serve_forever()
"""


@contextmanager
def served(netns: str, address: str, command: list[str]) -> Iterator[None]:
    inside = ["nsenter", f"--net=/run/netns/{netns}"]
    process = subprocess.Popen([*inside, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait = ["curl", "-s", "-o", "/dev/null", "--retry", "100", "--retry-delay", "0", "--retry-connrefused"]
        subprocess.run([*inside, *wait, f"http://{address}/v2/"], check=True, timeout=60)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def servers(
    dockerd: Daemon, holdfastd: Daemon, registries: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "htpasswd").write_bytes(b"alice:" + bcrypt.hashpw(b"canary-secret", bcrypt.gensalt(4)) + b"\n")
    with ExitStack() as stack:
        for daemon in (dockerd, holdfastd):
            guarded = [sys.executable, "-m", "holdfast.registry.main", "--listen", GUARDED]
            guarded += ["--root", str(folder / daemon.name), "--htpasswd", str(folder / "htpasswd")]
            stack.enter_context(served(daemon.netns, GUARDED, guarded))
            stack.enter_context(served(daemon.netns, INDEX, [sys.executable, "-c", SEARCH]))
        yield registries


def masked(case: Case) -> Case:
    """The script with the sizes of manifests masked on both sides."""
    return Case(
        case.name,
        "{ " + case.script + "\n} | sed -E 's/size: [0-9]+/size: N/; /: Pushing/d'; exit ${PIPESTATUS[0]}",
        is_error=case.is_error,
        differs=case.differs,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_push_login_and_search_say_the_same(
    case: Case, dockerd: Daemon, holdfastd: Daemon, servers: str, tmp_path: Path
) -> None:
    compare(masked(case), dockerd, holdfastd, tmp_path)


def test_a_pulled_image_goes_on_with_its_digest(
    start_holdfastd: Callable[..., AbstractContextManager[Daemon]],
    start_registry: Callable[..., AbstractContextManager[str]],
    tmp_path: Path,
) -> None:
    home = Path(f"/var/tmp/hf-round-{tmp_path.name[-6:]}")
    with start_holdfastd(home.name, home) as daemon, start_registry(daemon.netns, tmp_path):
        done = daemon.sh(f"""
            docker pull -q {R}/library/thing:one && docker tag {R}/library/thing:one {R}/round/trip:1
            docker push {R}/round/trip:1 | grep -c 'Mounted from library/thing'
            for at in {R}/library/thing:one {R}/round/trip:1; do
                skopeo inspect --tls-verify=false docker://$at | jq -r .Digest; done
        """)

    assert done.returncode == 0, done.stderr
    mounted, theirs, ours = done.stdout.split()[-3:]
    assert (mounted, theirs) == ("1", ours)


def test_a_layout_of_several_platforms_goes_on_with_its_digest_and_comes_back_as_one_image(
    start_holdfastd: Callable[..., AbstractContextManager[Daemon]],
    start_registry: Callable[..., AbstractContextManager[str]],
    tmp_path: Path,
) -> None:
    """What dockerd 28 does with the containerd store, its note for an index in parts included."""
    home = Path(f"/var/tmp/hf-index-{tmp_path.name[-6:]}")
    hold = Path(__file__).resolve().parents[2] / "hold"
    with start_holdfastd(home.name, home) as daemon, start_registry(daemon.netns, tmp_path):
        done = daemon.sh(
            f"""
            set -e; export DOCKER_CONFIG=$PWD/config
            docker pull -q {R}/library/thing:one >/dev/null
            {hold} manifest create {R}/made/list:1 {R}/library/thing:one {R}/library/hello-world:latest >/dev/null
            {hold} manifest annotate --arch arm64 {R}/made/list:1 {R}/library/hello-world:latest
            {hold} manifest push {R}/made/list:1 | tail -1
            skopeo copy -q --all --src-tls-verify=false docker://{R}/made/list:1 oci:layout:{R}/round/multi:1
            tar -C layout -c . | docker load -q
            docker push -q {R}/round/multi:1
            skopeo inspect --raw --tls-verify=false docker://{R}/round/multi:1 | sha256sum
            docker push -q --platform linux/arm64 {R}/round/multi:1 | tail -1
            skopeo inspect --config --tls-verify=false docker://{R}/round/multi:1 | jq -c .config.Cmd
            docker rmi {R}/round/multi:1 >/dev/null
            docker pull -q {R}/made/list:1; docker push -q {R}/made/list:1 2>&1 | grep -c 'Not all multiplatform-content is present'
            {hold} push -q {R}/made/list:1 2>&1 | grep -c 'Not all multiplatform-content is present'
            """,
            folder=tmp_path,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.split()
    digest = said[0].removeprefix("sha256:")
    assert said == [
        f"sha256:{digest}", "Loaded", "image:", f"{R}/round/multi:1", f"{R}/round/multi:1", digest, "-",
        f"{R}/round/multi:1", '["/hello"]', f"{R}/made/list:1", "1", "1",
    ]  # fmt: skip


def test_no_password_is_written_anywhere(
    start_holdfastd: Callable[..., AbstractContextManager[Daemon]], tmp_path: Path, archive: Path
) -> None:
    """After login, push, pull and failures the canary is in no file, no log, no answer and no argument of ours."""
    home = Path(f"/var/tmp/hf-push-{tmp_path.name[-6:]}")
    (tmp_path / "secret").write_text("canary-secret")
    (tmp_path / "wrong").write_text("canary-wrong")
    login = f"export DOCKER_CONFIG=$PWD; docker login -u alice --password-stdin {GUARDED}"
    (tmp_path / "htpasswd").write_bytes(b"alice:" + bcrypt.hashpw(b"canary-secret", bcrypt.gensalt(4)) + b"\n")
    with start_holdfastd(home.name, home, "--debug") as daemon:
        guarded = [sys.executable, "-m", "holdfast.registry.main", "--listen", GUARDED, "--log-level", "debug"]
        guarded += ["--root", str(tmp_path / "root"), "--htpasswd", str(tmp_path / "htpasswd")]
        with served(daemon.netns, GUARDED, guarded):
            done = daemon.sh(
                f"docker load -qi {archive}; {login} < secret 2>/dev/null; docker tag {IMAGE} {GUARDED}/a/b:1; docker push {GUARDED}/a/b:1; "
                f"docker pull {GUARDED}/a/b:1; docker pull {GUARDED}/a/nosuch:1; docker inspect {GUARDED}/a/b:1; docker info; "
                f"{login} < wrong; "
                "docker events --since 0 --until $(date +%s); cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -a holdfast.daemon",
                folder=tmp_path,
            )
        assert "Login Succeeded" in done.stdout
        assert "digest: sha256" in done.stdout
        assert "canary" not in done.stdout + done.stderr
        found = [path for path in home.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]
        assert found == []
        encoded = json.loads((tmp_path / "config.json").read_text())["auths"][GUARDED]["auth"].encode()
        assert not any(encoded in path.read_bytes() for path in home.rglob("*") if path.is_file())
