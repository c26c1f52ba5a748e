# SPDX-License-Identifier: Apache-2.0
"""What the image of a commit says: the wish, and under it the container's configuration."""

from holdfast.images import committing
from holdfast.oci.image import Healthcheck, RunConfig


def test_the_wishs_variables_come_first_and_win() -> None:
    wish = RunConfig(env=("Z=4", "X=9"))
    below = RunConfig(env=("X=1", "Y=2", "PATH=/bin", "PATH=/sbin"))

    assert committing.merged(wish, below).env == ("Z=4", "X=9", "Y=2", "PATH=/bin", "PATH=/sbin")


def test_a_health_check_is_merged_member_by_member() -> None:
    below = RunConfig(healthcheck=Healthcheck(test=("CMD-SHELL", "true"), interval=7, retries=2))

    merged = committing.merged(RunConfig(healthcheck=Healthcheck(timeout=3, retries=9)), below)

    assert merged.healthcheck == Healthcheck(test=("CMD-SHELL", "true"), interval=7, timeout=3, retries=9)
    assert committing.merged(RunConfig(), below).healthcheck == below.healthcheck
    assert committing.merged(below, RunConfig()).healthcheck == below.healthcheck
