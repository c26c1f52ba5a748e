# SPDX-License-Identifier: Apache-2.0
"""Holdfast and a real dockerd side by side, in one run, with the docker CLI (or the bare API) as the client of both.

Prints a Markdown table of medians and ratios. Rounds alternate between the sides, so that whatever else the machine does hits
both, and so does who begins: a file system makes files more slowly for seconds after as many were removed.
    bench/run.py [--quick] [NAME…]      only the measures whose names contain one of the words
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import measures
from archive import big_image, many_images, write_layout
from sides import SHARED, STATE, Dockerd, Holdfastd, Side

Row = tuple[str, str, float, float, float | None]


class Bench:
    """Collects rows: name, unit, peer's median, ours, and the budget for ours / peer's."""

    def __init__(self, sides: tuple[Side, Side], *, rounds: int, words: list[str]) -> None:
        self.peer, self.ours = sides
        self._rounds = rounds
        self._words = words
        self.rows: list[Row] = []

    def wants(self, name: str) -> bool:
        return not self._words or any(word in name for word in self._words)

    def measure(
        self,
        name: str,
        act: measures.Callable[[Side], float],
        budget: float | None,
        *,
        rounds: int = 0,
        unit: str = "ms",
    ) -> None:
        """Runs `act` on both sides in turn; the first round is for warming up and does not count."""
        if not self.wants(name):
            return
        results: dict[str, list[float]] = {"dockerd": [], "holdfast": []}
        for round_number in range((rounds or self._rounds) + 1):
            pair = (self.peer, self.ours) if round_number % 2 else (self.ours, self.peer)
            for side in pair:
                value = act(side)
                if round_number or rounds == 1:
                    results[side.name].append(value)
        self.add(name, statistics.median(results["dockerd"]), statistics.median(results["holdfast"]), budget, unit)

    def add(self, name: str, peer: float, ours: float, budget: float | None, unit: str) -> None:
        scale = 1e3 if unit == "ms" else 1e-6
        self.rows.append((name, unit, peer * scale, ours * scale, budget))
        print(_line(self.rows[-1]), file=sys.stderr, flush=True)


def _line(row: Row) -> str:
    name, unit, peer, ours, budget = row
    ratio = ours / peer if peer else float("nan")
    verdict = "" if budget is None else ("yes" if ratio <= budget else "**no**")
    wanted = "" if budget is None else (f"≤ 1/{1 / budget:.3g}" if budget <= 0.5 else f"≤ {budget:g}")
    shown = f"1/{1 / ratio:.1f}" if ratio < 0.7 else f"{ratio:.2f}"
    return f"| {name} | {peer:.1f} {unit} | {ours:.1f} {unit} | {shown} | {wanted} | {verdict} |"


def measure_networks(bench: Bench) -> None:
    """Networks made and removed, joined and left by a running container."""
    bench.measure("CLI network create + rm", measures.cli_network, 1 / 8)
    bench.measure("API network create + rm", measures.api_network, 1 / 8)
    if not bench.wants("network connect + disconnect"):
        return
    sides = (bench.peer, bench.ours)
    with measures.Running(bench.peer) as theirs, measures.Running(bench.ours) as ours:
        ids = {bench.peer.name: theirs, bench.ours.name: ours}
        for side in sides:
            side.docker("network", "create", "bench-net")
        for name, act in (("CLI", measures.cli_connect), ("API", measures.api_connect)):
            bench.measure(f"{name} network connect + disconnect", lambda side, a=act: a(side, ids[side.name]), 1 / 5)
        for side in sides:
            side.docker("network", "rm", "bench-net")


def measure_operations(bench: Bench) -> None:
    """What is done with containers that run."""
    bench.measure("CLI stop -t 0", measures.cli_stop, 1 / 4)
    with measures.Running(bench.peer) as theirs, measures.Running(bench.ours) as ours:
        ids = {bench.peer.name: theirs, bench.ours.name: ours}
        bench.measure("API pause + unpause", lambda side: measures.api_pause(side, ids[side.name]), 1 / 4)
        if bench.wants("cp of 2000 files, in and out"):
            folder = STATE / "files"
            folder.mkdir(exist_ok=True)
            for number in range(2000):
                (folder / f"{number:04}").write_bytes(b"x" * number)
            bench.measure(
                "CLI cp of 2000 files, in and out",
                lambda side: measures.cli_copy(side, ids[side.name], folder),
                1.0,
                rounds=3,
            )
        if bench.wants("commit of a 50 MB change"):
            for side in (bench.peer, bench.ours):
                side.docker("exec", ids[side.name], "sh", "-c", "head -c 50m /dev/urandom > /tmp/big")
            bench.measure(
                "CLI commit of a 50 MB change", lambda side: measures.cli_commit(side, ids[side.name]), 1.0, rounds=3
            )
        if bench.wants("stats"):
            with contextlib.ExitStack() as many:
                for _ in range(49):
                    many.enter_context(measures.Running(bench.ours))
                bench.measure("CLI stats: of one, ours of 50", measures.cli_stats, 1.0, rounds=3)


def run_measures(bench: Bench, *, quick: bool) -> None:
    """Every row of the table, in its order."""
    few = 2 if quick else 5
    for network, budget in (("bridge", 1 / 12), ("none", 1 / 12)):
        bench.measure(f"API life ({network})", lambda side, n=network: measures.api_life(side, n), budget)
    for label, flags, budget in (
        ("bridge", (), 1 / 7),
        ("port", ("-p", "18080:80"), 1 / 7),
        ("none", ("--network", "none"), 1 / 5),
        ("host", ("--network", "host"), 1 / 5),
    ):
        bench.measure(f"CLI run --rm ({label})", lambda side, f=flags: measures.cli_run(side, *f), budget)
    bench.measure("CLI 20 × run --rm, 8 at once", measures.cli_parallel_runs, 1 / 5, rounds=few)
    if bench.wants("exec"):
        with measures.Running(bench.peer) as peer_id, measures.Running(bench.ours) as our_id:
            ids = {"dockerd": peer_id, "holdfast": our_id}
            bench.measure("API exec", lambda side: measures.api_exec(side, ids[side.name]), 1 / 4)
            bench.measure("CLI exec", lambda side: measures.cli_exec(side, ids[side.name]), 1 / 2)
    measure_networks(bench)
    measure_operations(bench)
    bench.measure("CLI rm -f, running", measures.cli_remove_running, 1 / 4)
    if bench.wants("list of 100"):
        for side in (bench.peer, bench.ours):
            for number in range(100):
                side.api.call(
                    "POST", "/containers/create", query={"name": f"bench-{number}"}, body={"Image": measures.IMAGE}
                )
        bench.measure("API list of 100", measures.api_list, 1 / 5)
        for side in (bench.peer, bench.ours):
            for number in range(100):
                side.api.call("DELETE", f"/containers/bench-{number}")
    if bench.wants("logs"):
        pairs = {"dockerd": [], "holdfast": []}
        for _ in range(few):
            for side in (bench.peer, bench.ours):
                pairs[side.name].append(measures.write_logs(side))
        for index, (label, budget) in enumerate((("logs: write 300 000 lines", 1.0), ("logs: read them", 0.6))):
            medians = [statistics.median(pair[index] for pair in pairs[side.name]) for side in (bench.peer, bench.ours)]
            bench.add(label, medians[0], medians[1], budget, "ms")
    bench.measure("memory: one idle shim", measures.shim_memory, None, rounds=2, unit="MB")
    bench.measure("memory: daemon", measures.daemon_memory, 1.0, rounds=1, unit="MB")


def measure_image_list(bench: Bench) -> None:
    """`images` of a stock of 500: at most 10 ms, whatever the peer needs."""
    if not bench.wants("images of 500"):
        return
    archive, names = many_images(STATE, 500)
    for side in (bench.peer, bench.ours):
        with open(archive, "rb") as file:
            side.docker("load", "-q", stdin=file)
    bench.measure("API images of 500 (10 ms at most)", measures.api_images, None)
    for side in (bench.peer, bench.ours):
        for start in range(0, len(names), 100):
            side.docker("rmi", *names[start : start + 100])


def run_image_measures(bench: Bench, *, quick: bool) -> None:
    """Load and pull of a 180 MB image of 12 000 files."""
    rounds = 1 if quick else 3
    if not (bench.wants("load") or bench.wants("pull")):
        return
    archive, name = big_image(STATE)
    bench.measure("load 180 MB, 12 000 files", lambda side: measures.load(side, archive, name), 1.0, rounds=rounds)
    if not bench.wants("pull"):
        return
    reference = "127.0.0.1:5055/bench/big:latest"
    with _registries(bench, archive, reference):
        bench.measure(
            "pull of the same, loopback registry", lambda side: measures.pull(side, reference), 0.8, rounds=rounds
        )
        for side in (bench.peer, bench.ours):
            side.docker("pull", "-q", reference)
        bench.measure("pull of a present image", lambda side: measures.pull_present(side, reference), 1 / 4)
        bench.measure(
            "pull of a present image, API", lambda side: measures.api_pull_present(side, reference), 1 / 4, rounds=30
        )
        for side in (bench.peer, bench.ours):
            side.docker("rmi", "-f", reference)
            with open(archive, "rb") as file:
                side.docker("load", stdin=file)
        # a registry mounts what it has in another repository: each round starts with an empty one
        bench.measure("push of the same", lambda side: _push_afresh(side, name), 1.0, rounds=rounds)
        gigabyte = "127.0.0.1:5055/bench/gigabyte:latest"
        for side in (bench.peer, bench.ours):
            _put_gigabyte(side, gigabyte)
        growth = [measures.pull_growth(side, gigabyte) for side in (bench.peer, bench.ours)]
        bench.add("memory: growth in a 1 GB pull (64 MB at most)", growth[0], growth[1], None, "MB")


def measure_erofs(bench: Bench, *, quick: bool) -> None:
    """The same load and pull by a daemon whose layers are files."""
    if not bench.wants("erofs"):
        return
    archive, name = big_image(STATE)
    rounds = 1 if quick else 3
    ours = Holdfastd(f"bench-erofs-{os.getpid()}", "--storage-driver", "erofs")
    beside = Bench((bench.peer, ours), rounds=rounds, words=[])
    beside.rows = bench.rows
    try:
        beside.measure(
            "load 180 MB, 12 000 files, erofs", lambda side: measures.load(side, archive, name), 0.4, rounds=rounds
        )
        reference = "127.0.0.1:5055/bench/big:latest"
        with _registries(beside, archive, reference):
            beside.measure("pull of the same, erofs", lambda side: measures.pull(side, reference), 0.4, rounds=rounds)
    finally:
        ours.stop()


@contextlib.contextmanager
def _registries(bench: Bench, archive: Path, reference: str) -> Iterator[None]:
    """A registry beside each daemon, with the image of the archive in it."""
    sides = (bench.peer, bench.ours)
    registries = [_start_registry(side) for side in sides]
    try:
        for side in sides:
            command = [
                "skopeo",
                "copy",
                "-q",
                "--dest-tls-verify=false",
                f"docker-archive:{archive}",
                f"docker://{reference}",
            ]
            subprocess.run(["nsenter", f"--net=/run/netns/{side.netns}", *command], check=True)
        yield
    finally:
        for registry in registries:
            registry.terminate()
            registry.wait()


def _push_afresh(side: Side, image: str) -> float:
    """A push into a registry that knows nothing."""
    registry = _start_registry(side, port=5056)
    try:
        return measures.push(side, image, "127.0.0.1:5056/bench/pushed")
    finally:
        registry.terminate()
        registry.wait()


def _put_gigabyte(side: Side, reference: str) -> None:
    """An image of four layers of 256 MB that do not compress."""
    layout = STATE / "gigabyte"
    if not layout.exists():
        write_layout(layout, layers=4, layer_bytes=256_000_000)
    command = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:latest", f"docker://{reference}"]
    subprocess.run(["nsenter", f"--net=/run/netns/{side.netns}", *command], check=True)


def _start_registry(side: Side, port: int = 5055) -> subprocess.Popen[bytes]:
    root = STATE / f"registry-{side.name}-{port}"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    config = root / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    command = ["nsenter", f"--net=/run/netns/{side.netns}", "docker-registry", "serve", str(config)]
    registry = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ask = [
        "nsenter",
        f"--net=/run/netns/{side.netns}",
        "curl",
        "-fs",
        "-o",
        "/dev/null",
        f"http://127.0.0.1:{port}/v2/",
    ]
    for _ in range(100):
        if subprocess.run(ask, check=False).returncode == 0:
            return registry
        time.sleep(0.05)
    raise RuntimeError(f"the registry of {side.name} does not answer")


def main() -> int:
    """Runs the bench and prints the table."""
    parser = argparse.ArgumentParser(description="Holdfast beside dockerd, in one run")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("words", nargs="*", help="only measures whose name contains one of these")
    options = parser.parse_args()
    STATE.mkdir(parents=True, exist_ok=True)
    peer, ours = Dockerd(f"bench-peer-{os.getpid()}"), Holdfastd(f"bench-holdfast-{os.getpid()}")
    bench = Bench((peer, ours), rounds=5 if options.quick else 15, words=options.words)
    try:
        layout = SHARED / "images" / "busybox-1.37.0-musl"
        image_tar = STATE / "busybox.tar"
        command = [
            "skopeo",
            "copy",
            "-q",
            f"oci:{layout}:{measures.IMAGE}",
            f"docker-archive:{image_tar}:{measures.IMAGE}",
        ]
        image_tar.unlink(missing_ok=True)
        subprocess.run(command, check=True)
        for side in (peer, ours):
            side.docker("load", "-i", str(image_tar))
        run_measures(bench, quick=options.quick)
        measure_image_list(bench)
        run_image_measures(bench, quick=options.quick)
        measure_erofs(bench, quick=options.quick)
    finally:
        ours.stop()
        peer.stop()
    version = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"\nMedians, one run, client {version}:\n")
    print("| measure | dockerd 28.5 | Holdfast | ratio | budget | held |\n|---|---:|---:|---:|---|---|")
    for row in bench.rows:
        print(_line(row))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
