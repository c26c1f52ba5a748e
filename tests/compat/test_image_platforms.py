# SPDX-License-Identifier: Apache-2.0
"""`--platform` of what is done with images that are here: the same answers from dockerd and from Holdfast."""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, Difference, compare

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGE = "alpine:3.20"
ARM = "%7B%22os%22:%22linux%22,%22architecture%22:%22arm64%22%7D"
AMD = ARM.replace("arm64", "amd64")
GET = "curl -s -o answer -w '%{http_code}\\n' --unix-socket $SOCKET http://d"
STATUS = Difference("500", "404", "dockerd has 500 for what the client can mend")

CASES = [
    Case("history", f"docker history -q --platform linux/amd64 {IMAGE} | wc -l"),
    Case("history, another", f"docker history --platform linux/arm64 {IMAGE}"),
    Case("history, before it could be named", f"{GET}/v1.46/images/{IMAGE}/history?platform={ARM}"),
    Case("inspect", f"docker image inspect --platform linux/amd64 -f '{{{{.Architecture}}}}' {IMAGE}"),
    Case("inspect, another", f"docker image inspect --platform linux/arm64 {IMAGE}"),
    Case("inspect, another, by id", f"docker image inspect --platform linux/arm64 $(docker image inspect -f '{{{{.Id}}}}' {IMAGE}) 2>&1 | sed 's/sha256:[0-9a-f]*/ID/'"),
    Case("inspect, before it could be named", f"{GET}/v1.48/images/{IMAGE}/json?platform={ARM}"),
    Case("no platform", f"{GET}/v1.51/images/{IMAGE}/json?platform=linux/arm64; cut -c1-36 answer", is_loose=True),
    Case("save", f"docker save --platform linux/amd64 {IMAGE} | tar -xO manifest.json | jq -c '.[].RepoTags'"),
    Case("save, another", f"{GET}/v1.51/images/{IMAGE}/get?platform={ARM}; cat answer", differs=(STATUS,)),
    Case("save of several, another", f"{GET}/v1.51/images/get?names={IMAGE}\\&platform={ARM}; cat answer", differs=(STATUS,)),
    Case("save, two", f"{GET}/v1.51/images/{IMAGE}/get?platform={ARM}\\&platform={AMD}; cat answer"),
    Case("load, two", f"{GET}/v1.51/images/load?platform={ARM}\\&platform={AMD} -XPOST -d x; cat answer"),
    *(
        Case(
            f"import for {words}",
            f"tar c --files-from /dev/null | docker import --platform '{words}' - imported:1 >/dev/null && "
            "docker image inspect -f '{{.Os}}/{{.Architecture}}' imported:1 && docker rmi imported:1 >/dev/null",
            is_error=words in (" ", "/"),
        )
        for words in ("linux", "LINUX", "linux/sparc64", "arm64", " ", "/", "linux/a/b/c", "macos", "macos/arm64", "nintendo64", "linux/*")
    ),
    Case("rmi", f"docker tag {IMAGE} gone:1; docker rmi --platform linux/arm64 gone:1; docker rmi gone:1"),
    Case("load", f"docker save {IMAGE} | docker load --platform linux/amd64"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_platforms_of_images_that_are_here(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)


def test_a_load_for_another_platform_says_that_there_is_none(holdfastd: Daemon) -> None:
    done = holdfastd.sh(f"docker save {IMAGE} | docker load --platform linux/arm64")

    assert (done.returncode, done.stdout.strip()) == (1, "")
    assert done.stderr == "the archive has no image for platform linux/arm64\n"


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
@pytest.mark.parametrize(
    "words",
    ["history -q --platform {} alpine:3.20", "save --platform {} alpine:3.20 | wc -c", "rmi --platform {} kept:1"],
)
def test_hold_names_platforms_as_docker_does(holdfastd: Daemon, words: str, platform: str) -> None:
    theirs, ours = (
        holdfastd.sh(f"docker tag {IMAGE} kept:1; set -o pipefail; {program} {words.format(platform)}")
        for program in ("docker", REPOSITORY / "hold")
    )

    assert (ours.stdout, ours.returncode) == (theirs.stdout, theirs.returncode)
    assert ours.stderr.removeprefix("hold: ") == theirs.stderr.removeprefix("Error response from daemon: ")
