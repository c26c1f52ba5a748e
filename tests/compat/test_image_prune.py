# SPDX-License-Identifier: Apache-2.0
"""`docker image prune` says and leaves the same on both: named and nameless, by label and its absence, by age, in use."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from compat_case import Case, Daemon, compare

LEFT = "docker images -a --filter label=pr --format '{{.Repository}}:{{.Tag}} {{.ID}}' | cut -d: -f1,2 | sort"
PRUNE = "docker image prune -f --filter label=pr"
DONE = "sed -E 's/^(deleted: sha256:).*/\\1/; /^Total/d' | sort"
CASES = [
    Case("only nameless ones", f"{PRUNE} | {DONE}; {LEFT}"),
    Case("all", f"{PRUNE} -a | {DONE}; {LEFT}"),
    Case("a label with its value", f"{PRUNE} -a --filter label=kind=old | {DONE}; {LEFT}"),
    Case("two labels, both", f"{PRUNE} -a --filter label=kind=old --filter label=nosuch | {DONE}; {LEFT}"),
    Case("not with a label", f"{PRUNE} -a --filter label!=kind=old | {DONE}; {LEFT}"),
    Case("older than a date", f"{PRUNE} -a --filter until=2021-01-01 | {DONE}; {LEFT}"),
    Case("older than hours", f"{PRUNE} -a --filter until=24h | {DONE}; {LEFT}"),
    Case("older than seconds of the epoch", f"{PRUNE} -a --filter until=1590000000 | {DONE}; {LEFT}"),
    Case("two dates", f"{PRUNE} -a --filter until=1h --filter until=2h; {LEFT}"),
    Case("no date", f"{PRUNE} -a --filter until=soon; {LEFT}", is_error=True),
    Case("unknown filter", f"{PRUNE} --filter nosuch=1; {LEFT}", is_error=True),
    Case(
        "in use",
        f"docker create --name user pr/old:1 x >/dev/null; {PRUNE} -a | {DONE}; docker rm user; {LEFT}; {PRUNE} -a | {DONE}",
    ),
    Case(
        "in use under several names",
        "docker tag pr/old:1 pr/more:2; docker tag pr/old:1 pr/last:3; docker tag pr/old:1 alpha; "
        f"docker create --name user pr/last:3 x >/dev/null; {PRUNE} -a | {DONE}; docker rm user; {LEFT}; {PRUNE} -a | {DONE}",
    ),
    Case("several names", f"docker tag pr/old:1 pr/more:2; {PRUNE} -a --filter label=kind=old | {DONE}; {LEFT}"),
]


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 2020 (`kind=old`), of today (`kind=new`) and two of 2022 without a name, each with the label `pr`."""
    path = tmp_path_factory.mktemp("prune") / "images.tar"
    items: list[dict[str, object]] = []
    with tarfile.open(path, "w") as tar:
        for number, (tags, created, kind) in enumerate(
            [
                (["pr/old:1"], "2020-05-01T00:00:00Z", "old"),
                (["pr/new:1"], "2120-05-01T00:00:00Z", "new"),
                (["pr/gone:1"], "2022-05-01T00:00:00Z", "old"),
                (["pr/gone:2"], "2022-05-01T00:00:00Z", "other"),
            ]
        ):
            layer = io.BytesIO()
            with tarfile.open(fileobj=layer, mode="w") as inner:
                _add(inner, f"file-{number}", b"x" * 100)
            digest = hashlib.sha256(layer.getvalue()).hexdigest()
            config = {
                "architecture": "amd64",
                "os": "linux",
                "created": created,
                "config": {"Cmd": ["x"], "Labels": {"pr": "", "kind": kind}},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                "history": [{"created": created, "created_by": "test"}],
            }
            _add(tar, f"{number}.json", json.dumps(config).encode())
            _add(tar, f"{number}.tar", layer.getvalue())
            items.append({"Config": f"{number}.json", "RepoTags": tags, "Layers": [f"{number}.tar"]})
        _add(tar, "manifest.json", json.dumps(items).encode())
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_prune_takes_what_dockerds_takes(
    case: Case, dockerd: Daemon, holdfastd: Daemon, archive: Path, tmp_path: Path
) -> None:
    # a tag that goes to another image leaves one without a name
    script = f"""
docker load -q -i {archive} > /dev/null
docker tag pr/new:1 pr/gone:1; docker tag pr/new:1 pr/gone:2; docker rmi pr/gone:1 pr/gone:2 > /dev/null
{case.script}
docker images -aq --filter label=pr | sort -u | xargs -r docker rmi -f > /dev/null
"""

    compare(Case(case.name, script, is_error=case.is_error, differs=case.differs), dockerd, holdfastd, tmp_path)
