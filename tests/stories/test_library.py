# SPDX-License-Identifier: Apache-2.0
"""`import holdfast` against a real daemon: a container's whole life by the library."""

import io
import tarfile
import time
from typing import Any

import pytest

import holdfast
from holdfast import errors

IMAGE = "story:1"


def test_a_containers_life(daemon: Any) -> None:
    begin = time.time()
    with holdfast.connect(f"unix://{daemon.socket}") as engine:
        options = holdfast.Options(name="lib-1", labels={"of": "library"}, memory_bytes=64 << 20)
        made = engine.start(IMAGE, ["sh", "-c", "echo said; echo more > /new; sleep 300"], options)
        made.update(memory_bytes=80 << 20, memory_swap_bytes=100 << 20, pids_limit=20, restart="on-failure:3")
        host = made.inspect()["HostConfig"]
        made.rename("lib-2")
        made.pause()
        paused = made.inspect()["State"]["Status"]
        made.unpause()

        assert (host["Memory"], host["PidsLimit"], host["RestartPolicy"]["MaximumRetryCount"]) == (80 << 20, 20, 3)
        assert (made.name, paused, made.health) == ("lib-2", "paused", "")
        assert made.exec(["sh", "-c", "echo out; echo err >&2; exit 4"]) == holdfast.Result(
            exit_code=4, stdout=b"out\n", stderr=b"err\n"
        )
        assert any("sleep 300" in row["CMD"] for row in made.top())
        assert made.stats()["memory_stats"]["limit"] == 80 << 20
        assert made.changes() == {"/new": "added"}
        with tarfile.open(fileobj=io.BytesIO(b"".join(made.export()))) as tar:
            assert "new" in tar.getnames()
        assert made.commit("library/committed:one", message="said").startswith("sha256:")
        made.restart(0)
        made.stop(0)
        assert next(iter(made.logs()))[1].startswith(b"said")
        seen = [event["Action"] for event in engine.events(since=begin, until=time.time() + 0.1, container=made.id)]
        assert {
            "create",
            "start",
            "update",
            "rename",
            "pause",
            "unpause",
            "top",
            "export",
            "commit",
            "restart",
            "stop",
        } <= set(seen)
        assert made.id in engine.prune_containers()
        with pytest.raises(errors.NotFound, match="No such container"):
            made.start()
    daemon.out("rmi", "library/committed:one")
