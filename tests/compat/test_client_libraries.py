# SPDX-License-Identifier: Apache-2.0
"""What client libraries ask of a daemon over the bare API, as the docker CLI never does: the same on both daemons."""

from pathlib import Path

import pytest
from compat_case import Case, Daemon, Difference, compare

IMAGE = "busybox:1.37.0-musl"
API = (
    'api() { curl -sg -w "[%{http_code}]" --unix-socket $SOCKET -X $1 -H "Content-Type: application/json" '
    '"http://d/v$2" ${3:+-d "$3"}; }; create() { api POST 1.44/containers/create?name=$1 "{\\"Image\\":\\"'
    f'{IMAGE}\\",\\"Cmd\\":[\\"sleep\\",\\"1000\\"],$2}}" | tail -c 5; echo; }}; '
)
# every container's names, of those that begin with lib
NAMES = "api GET '1.44/containers/json?all=1&filters={\"name\":[\"lib\"]}' | sed 's/.[0-9]*]$//' | jq -c '[.[].Names]'"
_WISH = '{"NetworkMode":"lib-v4"}'
_ENDPOINT = '{"EndpointsConfig":{"lib-v4":{"IPAMConfig":{"IPv6Address":"fd00:77::f00d"}}}}'
_SHOW = "docker inspect lib-v6 | jq -c '.[0].NetworkSettings.Networks[\"lib-v4\"]|.IPAMConfig,.IPAddress,.GlobalIPv6Address'"

CASES = [
    Case(
        "links with slashes",
        f"{API} docker create --name lib-child {IMAGE} >/dev/null; "
        """create lib-parent '"HostConfig":{"Links":["lib-child:/db","/lib-child"]}'; """
        f"{NAMES}; for p in lib-parent/db lib-parent/lib-child; do api GET 1.44/containers/$p/json | jq -cR 'fromjson?|.Name'; done; "
        "docker inspect -f '{{json .HostConfig.Links}}' lib-parent; api DELETE 1.44/containers/lib-parent/db?link=1; "
        f"api DELETE 1.44/containers/lib-parent/db?link=1; {NAMES}; api POST 1.44/containers/lib-parent/nope/start; "
        "api DELETE 1.44/containers/lib-parent/lib-child; docker rm -f lib-parent lib-child",
    ),
    Case(
        "a container's own name is no link",
        f"{API} docker create --name lib-child {IMAGE} >/dev/null; api DELETE 1.44/containers/lib-child?link=1; docker rm lib-child",
        differs=(
            Difference(r"\[500\]", "[409]", "dockerd answers 500 where the caller is wrong; Holdfast never does"),
        ),
    ),
    Case(
        "an IPv6 address where IPv6 is off",
        f"{API} docker network create --subnet 10.102.40.0/24 --subnet fd00:77::/64 lib-v4 >/dev/null; "
        f"""create lib-v6 '"HostConfig":{_WISH},"NetworkingConfig":{_ENDPOINT}'; docker start lib-v6; {_SHOW}; """
        f"docker network disconnect lib-v4 lib-v6; docker network connect --ip6 fd00:77::beef lib-v4 lib-v6; {_SHOW}; "
        "docker network disconnect lib-v4 lib-v6; docker network connect --ip6 fd00:78::1 lib-v4 lib-v6; "
        "docker rm -f lib-v6; docker network rm lib-v4",
    ),
    Case(
        "a check of an unknown kind",
        f"""{API} create lib-health '"Healthcheck":{{"Test":["true"],"Interval":1000000}}'; docker start lib-health; """
        "docker inspect -f '{{json .Config.Healthcheck}} {{json .State.Health}}' lib-health; docker rm -f lib-health",
    ),
    Case(
        "the list of networks with a slash at its end",
        f"{API} for v in 1.24 1.51; do api GET $v/networks/ | sed 's/.[0-9]*]$//' "
        '| jq -c \'[.[].Name]|contains(["bridge","host","none"])\'; done',
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_libraries_are_answered_alike(case: Case, dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(case, dockerd, holdfastd, tmp_path)
