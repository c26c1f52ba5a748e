# SPDX-License-Identifier: Apache-2.0
"""The Engine API: parse the request, call one job, render its answer; nothing else happens here."""
