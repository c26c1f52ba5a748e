# SPDX-License-Identifier: Apache-2.0
"""What Holdfast does not have answers as a dockerd that does not have it: no swarm, no checkpoints, no build cache."""

import json

import pytest

from holdfast.api.routes import build, checkpoints, swarm
from holdfast.engine.events import Events


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nodes", 503, "This node is not a swarm manager."),
        ("GET", "/services/x/logs", 503, "This node is not a swarm manager."),
        ("DELETE", "/secrets/x", 503, "This node is not a swarm manager."),
        ("POST", "/swarm/leave", 503, "This node is not part of a swarm"),
        ("POST", "/swarm/init", 501, "not implemented by Holdfast"),
        ("POST", "/containers/x/checkpoints", 501, "experimental"),
        ("DELETE", "/containers/x/checkpoints/y", 501, "experimental"),
        ("POST", "/session", 501, "not implemented by Holdfast"),
    ],
)
async def test_the_answer_says_so(start, method, path, status, words):
    running = await start([*swarm.routes(), *checkpoints.routes()])

    answer = await running.ask(method, path)

    assert answer.status == status
    assert words in json.loads(answer.body)["message"]


async def test_pruning_no_cache_frees_nothing(start):
    running = await start(build.routes(Events()))

    answer = await running.ask("POST", "/build/prune?all=1")

    assert json.loads(answer.body) == {"CachesDeleted": None, "SpaceReclaimed": 0}
