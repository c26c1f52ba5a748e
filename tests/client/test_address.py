# SPDX-License-Identifier: Apache-2.0
import hashlib
import json
from pathlib import Path

import pytest

from holdfast import errors
from holdfast.client import address


def test_nothing_named_means_the_embedded_daemon(tmp_path: Path) -> None:
    endpoint = address.resolve({"HOME": str(tmp_path)})

    assert endpoint.is_embedded
    assert str(endpoint) == "unix:///run/holdfast/holdfast.sock"


def test_the_flag_wins_over_the_environment_and_ours_over_dockers() -> None:
    environment = {"DOCKER_HOST": "tcp://a:1", "HOLDFAST_HOST": "tcp://b:2"}

    assert str(address.resolve(environment)) == "tcp://b:2"
    assert str(address.resolve(environment, host="unix:///x")) == "unix:///x"


def test_a_context_is_read_from_dockers_own_files(tmp_path: Path) -> None:
    folder = tmp_path / "contexts" / "meta" / hashlib.sha256(b"far").hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": "far", "Endpoints": {"docker": {"Host": "tcp://far:2375"}}}))
    (tmp_path / "config.json").write_text('{"currentContext": "far"}')

    assert str(address.resolve({"DOCKER_CONFIG": str(tmp_path)})) == "tcp://far:2375"
    with pytest.raises(errors.NotFound, match='context "nope" not found'):
        address.resolve({"DOCKER_CONFIG": str(tmp_path)}, context="nope")


@pytest.mark.parametrize("host", ["", "http://x", "unix://", "tcp://x:99999", "tcp://x:y"])
def test_a_wrong_host_is_refused(host: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        address.parse(host)


def test_a_tcp_host_gets_dockers_ports() -> None:
    assert address.parse("tcp://h").address == "h:2375"
    tls = address.Tls(ca="", cert="", key="", verify=True)
    assert address.parse("tcp://h", tls).address == "h:2376"
