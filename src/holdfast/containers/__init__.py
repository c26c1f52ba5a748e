# SPDX-License-Identifier: Apache-2.0
"""What the daemon knows of containers: records, the table of their life, the compiler of their specs, their shims."""

from holdfast.containers.container import Container
from holdfast.containers.record import Record
from holdfast.containers.store import Containers
from holdfast.containers.supervisor import Supervisor

__all__ = ["Container", "Containers", "Record", "Supervisor"]
