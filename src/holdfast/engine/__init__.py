# SPDX-License-Identifier: Apache-2.0
"""Use cases: one typed job per verb of the API, the events they publish and the progress they report."""
