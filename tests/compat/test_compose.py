# SPDX-License-Identifier: Apache-2.0
"""The real Compose on both daemons, `docker compose` 2.40 and docker-compose 1.29: step by step the same answers.

Both daemons run the steps at the same time. What Compose reports of its progress comes in any order, so it is sorted.
"""

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from compat_case import Daemon, normal

FILES = Path(__file__).with_name("compose")
SHARED = Path(__file__).resolve().parents[3] / "shared"
STORE = Path("/var/tmp/peer-dockerd/sid-compose")
PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"

NEW_STEPS = """
docker compose config --services | sort
docker compose --progress plain up -d --wait 2>&1 | sort | uniq
docker compose ps -a --format '{{.Service}} {{.State}} {{.Health}} {{.ExitCode}} {{.Publishers}}'
docker compose logs --no-color --no-log-prefix web migrate | sort
docker compose exec -T api cat /run/secrets/token /srv/index.html /srv/data/schema
docker compose exec -T api sh -c 'touch /srv/data/x; touch /scratch/x; df -k /scratch | tail -1 | tr -s " " | cut -d" " -f2; echo $GREETING'
docker compose exec -T db sh -c 'wget -T 2 -qO- http://web/ || echo not reached'
docker compose run --rm --no-deps -T web wget -qO- http://gateway:8080/
docker compose port api 8080
curl -s http://127.0.0.1:18480/
docker compose top db | grep sleep | tr -s ' ' | cut -d' ' -f1-3,9-
docker compose pause db; docker compose ps --format '{{.Service}} {{.State}}'; docker compose unpause db
S=$(date +%s.%N); docker compose restart -t 0 cache 2>&1 | sort; sleep 0.5; docker compose events --json --since $S --until $(date +%s.%N) cache | jq -r .action | sort | uniq -c
docker compose --progress plain up -d --wait --scale cache=3 --no-recreate 2>&1 | grep cache-3 | sort | uniq
docker compose ps -q cache | wc -l
docker compose --progress plain scale cache=1 2>&1 | grep -c Removed
docker compose kill web 2>&1 | sort; docker compose rm -f web 2>&1 | sort; docker compose ps -a --format '{{.Service}}' | sort | uniq
docker compose --progress plain up -d --wait 2>&1 | grep web | sort | uniq
docker compose --progress plain up -d --wait 2>&1 | grep -c -e Creat -e Recreat
GREETING=changed docker compose config --environment >/dev/null; sed -i 's/GREETING: hello/GREETING: changed/' compose.yaml; docker compose --progress plain up -d --wait 2>&1 | grep -e Recreate | sort | uniq; docker compose exec -T api sh -c 'echo $GREETING'
docker compose images --format json | jq -r '.[] | [.Repository, .Tag, .Size] | @text' | sort
docker compose ls --format json | jq -r '.[] | .Name + " " + .Status'
docker compose volumes --format '{{.Name}} {{.Driver}}'
docker compose stats --no-stream --format '{{.Name}}' | sort
docker compose cp api:/srv/index.html copied; cat copied; docker compose cp copied api:/scratch/../tmp/back 2>/dev/null; docker compose exec -T api cat /tmp/back
docker compose wait migrate
docker compose --progress plain stop 2>&1 | sort | uniq; docker compose ps -a --format '{{.Service}} {{.State}}'
docker compose --progress plain start 2>&1 | grep Started | sort; curl -s http://127.0.0.1:18480/
docker compose --progress plain down -v 2>&1 | sort | uniq
docker ps -aq --filter label=com.docker.compose.project=five; docker network ls -q --filter label=com.docker.compose.project=five; docker volume ls -q --filter label=com.docker.compose.project=five
"""
OLD_STEPS = """
docker-compose up -d 2>&1 | grep done | sort
docker-compose ps | tr -s ' -'
docker-compose exec -T api sh -c 'cat /data/ready; touch /data/x'
curl -s http://127.0.0.1:18481/
until docker logs old_web_1 2>&1 | grep -q secret; do sleep 0.1; done; docker-compose logs --no-color web
docker-compose run --rm -T web wget -qO- http://api:8080/ 2>/dev/null
docker-compose port api 8080
docker-compose up -d --scale web=2 2>&1 | grep -e done -e up-to-date | sort
docker-compose restart -t 0 web 2>&1 | grep done | sort
docker-compose rm -f -s db 2>&1 | grep done; docker-compose up -d 2>&1 | grep -e done -e up-to-date | sort
docker-compose down -v 2>&1 | grep -v '\\.\\.\\. $' | sort
docker ps -aq --filter label=com.docker.compose.project=old; docker network ls -q --filter name=old_; docker volume ls -q --filter name=old_
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A client's configuration directory with Compose 2.40 from Debian's sid as its plugin."""
    STORE.parent.mkdir(exist_ok=True)
    with open(STORE.with_suffix(".lock"), "w") as lock:  # of all the test's workers one fetches it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (STORE / PLUGIN).exists():
            subprocess.run([SHARED / "tools/debian-suite.sh", "sid", STORE, "docker-compose"], check=True)
    made = tmp_path_factory.mktemp("docker-config")
    (made / "cli-plugins").mkdir()
    (made / "cli-plugins/docker-compose").symlink_to(STORE / PLUGIN)
    return made


@pytest.fixture
def daemons(dockerd: Daemon, holdfastd: Daemon) -> Iterator[tuple[Daemon, Daemon]]:
    """Both; whatever a failed test leaves of its project goes."""
    made = (dockerd, holdfastd)
    yield made
    for daemon in made:
        label = "label=com.docker.compose.project"
        daemon.sh(
            f"docker ps -aq --filter {label} | xargs -r docker rm -vf; docker network prune -f; docker volume prune -af"
        )


def answers(steps: str, daemon: Daemon, folder: Path, settings: Path) -> list[str]:
    """What one daemon's Compose prints at each step, with both streams."""
    (folder / "token").write_text("secret\n")
    environment = f"DOCKER_CONFIG={settings} COMPOSE_ANSI=never COMPOSE_HTTP_TIMEOUT=30 PYTHONWARNINGS=ignore"
    found: list[str] = []
    for step in steps.strip().splitlines():
        done = daemon.sh(f"export {environment}; {step}", folder=folder, timeout=90)
        assert "Traceback" not in done.stderr, done.stderr
        found.append(f"{step}\n{normal(done.stdout + done.stderr, folder)}")
    return found


def compare(project: str, steps: str, daemons: tuple[Daemon, Daemon], settings: Path, folder: Path) -> None:
    """Runs the steps on both, each in a copy of the project."""
    folders = [folder / daemon.name / project for daemon in daemons]
    for each in folders:
        shutil.copytree(FILES / project, each)
    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(lambda pair: answers(steps, *pair, settings), zip(daemons, folders, strict=True))
    for their_answer, our_answer in zip(theirs, ours, strict=True):
        assert our_answer == their_answer


def test_five_services_with_compose_2(daemons: tuple[Daemon, Daemon], settings: Path, tmp_path: Path) -> None:
    compare("new", NEW_STEPS, daemons, settings, tmp_path)


def test_three_services_with_compose_1(daemons: tuple[Daemon, Daemon], settings: Path, tmp_path: Path) -> None:
    assert shutil.which("docker-compose"), "scripts/setup dev installs docker-compose"

    compare("old", OLD_STEPS, daemons, settings, tmp_path)
