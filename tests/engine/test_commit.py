# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

from holdfast.containers import Container, Record
from holdfast.containers.config import Config, HostConfig
from holdfast.engine.jobs.commit import standing_still


async def test_a_container_that_ends_just_now_is_committed_all_the_same():
    container = Container(
        Record(
            id="c" * 64,
            name="brief",
            created_nanos=1,
            image_id="i",
            driver="overlay2",
            config=Config(),
            host_config=HostConfig(),
        )
    )
    container.state.status = "running"
    packages = SimpleNamespace(containers=SimpleNamespace(find=lambda _reference: container), events=None)

    async with standing_still(packages, container, wanted=True):
        seen = container.state.status

    assert seen == "running"
