# SPDX-License-Identifier: Apache-2.0
"""cgroup version 1: one module per controller, `hierarchy` makes cgroups, `cgroup` is one of them."""
