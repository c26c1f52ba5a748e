# SPDX-License-Identifier: Apache-2.0
"""How the kernel is asked for a container: `create`, `exec_process`, and what they take and give."""

from holdfast.runtime.container import Created, Stdio, become, create, rehearse
from holdfast.runtime.errors import StartError
from holdfast.runtime.exec import ExecProcess, become_exec, exec_process
from holdfast.runtime.prepare import Stock

__all__ = [
    "Created",
    "ExecProcess",
    "StartError",
    "Stdio",
    "Stock",
    "become",
    "become_exec",
    "create",
    "exec_process",
    "rehearse",
]
