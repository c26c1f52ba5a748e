# SPDX-License-Identifier: Apache-2.0
"""What a spare shim does before it is needed leaves nothing, and is a start of the usual shape."""

import os

from holdfast.runtime import plan
from holdfast.shim import protocol, rehearsal


def test_a_shims_rehearsal_leaves_no_descriptor():
    before = os.listdir("/proc/self/fd")

    rehearsal.of_shim()

    assert os.listdir("/proc/self/fd") == before


def test_the_rehearsed_spec_can_be_planned():
    spec = protocol.decode(rehearsal.sample())

    planned = plan.plan_create("id", spec, (), "/")

    assert planned.process.argv == ["true"]
    assert len(planned.mounts) == len(spec["mounts"])
