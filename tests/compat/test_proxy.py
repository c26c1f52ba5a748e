# SPDX-License-Identifier: Apache-2.0
"""A daemon behind a proxy, as daemon.json has it: pull, push, login and import get out, and `info` tells no password."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import forward_proxy
from compat_case import Daemon

SCRIPT = """
docker pull -q registry.test/library/thing:one
docker tag registry.test/library/thing:one registry.test/pushed/thing:two
docker push -q registry.test/pushed/thing:two
export DOCKER_CONFIG=$PWD/config
echo secret | docker login -u me --password-stdin registry.test 2>&1 | grep -o 'Login Succeeded'
docker import http://registry.test/v2/ imported 2>&1 | grep -o 'truncated tar archive'
docker info -f '{{.HTTPProxy}} {{.HTTPSProxy}} {{.NoProxy}}'
"""


def test_everything_goes_out_through_the_proxy_of_daemon_json(
    start_holdfastd: Callable[..., AbstractContextManager[Daemon]],
    start_registry: Callable[..., AbstractContextManager[str]],
    tmp_path: Path,
) -> None:
    url = f"http://{forward_proxy.USER}:{forward_proxy.PASSWORD}@127.0.0.1:3128"
    configuration = tmp_path / "daemon.json"
    configuration.write_text(
        json.dumps({"proxies": {"http-proxy": url, "no-proxy": "x.test"}, "insecure-registries": ["registry.test"]})
    )
    log = tmp_path / "proxy.log"
    home = Path("/var/tmp") / f"hf-proxy-{os.getpid()}"

    with start_holdfastd(home.name, home, "--config-file", str(configuration)) as daemon:
        inside = ["nsenter", f"--net=/run/netns/{daemon.netns}"]
        with start_registry(daemon.netns, tmp_path) as address:
            program = [sys.executable, forward_proxy.__file__, "3128", address, str(log)]
            proxy = subprocess.Popen([*inside, *program])
            try:
                daemon.sh("until (exec 3<>/dev/tcp/127.0.0.1/3128) 2>/dev/null; do sleep 0.02; done")
                done = daemon.sh(SCRIPT, folder=tmp_path)
            finally:
                proxy.kill()
                proxy.wait()
        told = daemon.sh(f"cat {home}/log").stdout

    assert done.stdout.splitlines() == [
        "registry.test/library/thing:one",
        "registry.test/pushed/thing:two",
        "Login Succeeded",
        "truncated tar archive",
        "http://xxxxx:xxxxx@127.0.0.1:3128  x.test",
    ], done.stdout + done.stderr
    seen = log.read_text()
    assert "GET http://registry.test/v2/library/thing/manifests/one" in seen
    assert "PUT http://registry.test/v2/pushed/thing/manifests/two" in seen
    assert "secret" not in told
    assert forward_proxy.PASSWORD not in told
