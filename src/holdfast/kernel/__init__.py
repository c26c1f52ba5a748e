# SPDX-License-Identifier: Apache-2.0
"""How the kernel is asked: the only package with ctypes and raw system calls."""
