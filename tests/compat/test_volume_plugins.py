# SPDX-License-Identifier: Apache-2.0
"""Volume plugins on both daemons: the same small plugin, found by a socket, a .spec and a .json file.

The daemons look in fixed directories of the host; these two see others there, in mount namespaces of their own.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from compat_case import Case, Daemon, Difference, compare
from volume_plugin import Fake, served

IMAGE = "busybox:1.37.0-musl"
PEERS = Path("/var/tmp/peer-dockerd")
PEER_SCRIPT = Path(__file__).resolve().parents[3] / "shared/tools/peer-dockerd.sh"
PLACES = ("/run/docker", "/etc/docker")
API = "curl -gs --unix-socket $SOCKET -H 'Content-Type: application/json' -w ' %{http_code}\\n'"
TIME = Difference("0001-01-01T00:00:00Z", "<time>", "we know when a volume was made through us")


def private(folder: Path) -> list[str]:
    """The beginning of a command line that sees folders of its own where plugins are told of."""
    binds = ""
    for place in PLACES:
        Path(place).mkdir(parents=True, exist_ok=True)
        (folder / place[1:] / "plugins").mkdir(parents=True)
        binds += f"mount --bind {folder}{place} {place} && "
    return ["unshare", "-m", "sh", "-c", binds + 'exec "$@"', "sh"]


class Twins:
    """Both daemons, and the plugin `far` of each."""

    def __init__(self, daemons: tuple[Daemon, Daemon], fakes: tuple[Fake, Fake]) -> None:
        self.daemons, self.fakes = daemons, fakes


def tell(folder: Path, home: Path, stack: ExitStack) -> Fake:
    """Starts one daemon's plugins: `far` is a socket in a folder, `near` told of by .spec, `kept` by .json."""
    sockets, files = folder / "run/docker", folder / "etc/docker/plugins"
    far = stack.enter_context(served(sockets / "plugins/far", root=folder / "root"))
    far.status = {"bytes": 12, "of": ["a", {"b": None}]}
    far.answers["VolumeDriver.Capabilities"] = {"Capabilities": {"Scope": "global"}}
    for name in ("near", "kept"):
        stack.enter_context(served(sockets / "elsewhere", name, folder / f"root-{name}"))
    (files / "near.spec").write_text("unix:///run/docker/elsewhere/near.sock\n")
    (files / "kept").mkdir()
    (files / "kept/kept.json").write_text('{"Name": "kept", "Addr": "unix:///run/docker/elsewhere/kept.sock"}')
    (home / "root").write_text(str(folder / "root"))
    return far


@pytest.fixture(scope="module")
def twins(
    start_holdfastd: Callable[..., AbstractContextManager[Daemon]],
    daemon_type: type[Daemon],
    archives: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Twins]:
    name = f"plugins-{os.getpid()}"
    folders = tuple(tmp_path_factory.mktemp(who) for who in ("dockerd", "holdfastd"))
    prefixes = [private(folder) for folder in folders]
    with ExitStack() as stack:
        subprocess.run(["ip", "netns", "add", name], check=True)  # here, or only dockerd would see it
        stack.callback(subprocess.run, [PEER_SCRIPT, "stop", name], check=False, stderr=subprocess.DEVNULL)
        subprocess.run([*prefixes[0], PEER_SCRIPT, "start", name], check=True, stdout=subprocess.DEVNULL)
        dockerd = daemon_type("dockerd", PEERS / name / "docker.sock", name)
        home = Path("/var/tmp") / f"hf-plugins-{os.getpid()}"
        holdfastd = stack.enter_context(start_holdfastd(home.name, home, within=prefixes[1]))
        daemons = (dockerd, holdfastd)
        for daemon in daemons:
            assert daemon.sh(f"docker load -i {archives[IMAGE]}").returncode == 0
        fakes = [tell(folder, daemon.socket.parent, stack) for folder, daemon in zip(folders, daemons, strict=True)]
        yield Twins(daemons, (fakes[0], fakes[1]))


HEAD = 'R=$(cat $(dirname $SOCKET)/root); show() { sed "s#$R#ROOT#g"; }; '
CASES = [
    Case("life", HEAD + f"docker volume create -d far --label a=b -o k=v one; docker volume inspect one | show; docker run --rm -v one:/d {IMAGE} touch /d/x; ls $R/one; docker volume prune -af; docker volume rm one; ls $R", differs=(TIME,)),
    Case("told of by files", "for d in near kept; do docker volume create -d $d of-$d; docker volume ls --filter driver=$d; docker volume rm of-$d; done"),
    Case("what only the plugin knows", HEAD + f"mkdir $R/foreign; docker volume ls; docker volume ls --filter driver=far -q; docker volume ls --filter name=for -q; docker volume inspect foreign | show; docker run --rm -v foreign:/d {IMAGE} touch /d/x; ls $R/foreign; docker volume rm foreign; ls $R; docker volume inspect foreign", is_error=False),
    Case("its list as the API has it", HEAD + f"mkdir $R/foreign; {API} http://d/v1.51/volumes | show; {API} http://d/v1.51/volumes/foreign | show; docker volume rm foreign; {API} http://d/v1.51/volumes/foreign", differs=(TIME,)),
    Case("names", f"docker volume create -d far one; docker volume create -d local one; docker volume create -d far one; docker volume create -d kept one; docker create --name vp -v one:/d {IMAGE} true >/dev/null; docker volume rm one 2>&1 | grep -o 'volume is in use'; docker rm vp; docker volume rm one; docker info -f '{{{{.Plugins.Volume}}}}'"),
    Case("gone from the plugin", HEAD + "docker volume create -d far --label a=b one; rmdir $R/one; docker volume inspect one; docker volume ls; docker volume create -d far one; docker volume inspect -f '{{.Labels}}' one; rmdir $R/one; docker volume rm one; docker volume rm one; docker volume rm -f one"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_plugins_are_used_the_same_way(case: Case, twins: Twins, tmp_path: Path) -> None:
    compare(case, *twins.daemons, tmp_path)


def test_what_a_plugin_refuses_is_told_in_its_words(twins: Twins, tmp_path: Path) -> None:
    for part in ("create", "remove", "end"):
        (tmp_path / part).mkdir()
    for fake in twins.fakes:
        fake.answers["VolumeDriver.Create"] = {"Err": "quota is full"}
    compare(Case("create", "docker volume create -d far one"), *twins.daemons, tmp_path / "create")
    for fake in twins.fakes:
        del fake.answers["VolumeDriver.Create"]
        fake.answers["VolumeDriver.Remove"] = {"Err": "still mounted"}
    refused = Case("remove", "docker volume create -d far one; docker volume rm one")
    compare(refused, *twins.daemons, tmp_path / "remove", leaves={"volume one"})
    for fake in twins.fakes:
        del fake.answers["VolumeDriver.Remove"]
    compare(Case("end", "docker volume rm one"), *twins.daemons, tmp_path / "end")


def test_a_plugin_is_asked_the_same(twins: Twins) -> None:
    script = f"docker volume create -d far -o k=v one; docker run --rm -v one:/d {IMAGE} true; docker volume rm one"
    calls: list[list[tuple[str, object]]] = []
    for daemon, fake in zip(twins.daemons, twins.fakes, strict=True):
        fake.asked.clear()
        assert daemon.sh(script).returncode == 0
        calls.append([(call, document.get("Opts")) for call, document in fake.asked if not call.endswith(".Get")])
        mounts = [document["ID"] for call, document in fake.asked if call.endswith("ount")]
        assert len(set(mounts)) == 1

    assert calls[0] == calls[1]
