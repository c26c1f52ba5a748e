# SPDX-License-Identifier: Apache-2.0
"""How the kernel is asked for a container: `create`, `exec_process`, and what they take and give."""

from holdfast.runtime.container import Created, Stdio, create
from holdfast.runtime.errors import StartError
from holdfast.runtime.exec import ExecProcess, exec_process

__all__ = ["Created", "ExecProcess", "StartError", "Stdio", "create", "exec_process"]
