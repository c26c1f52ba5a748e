# SPDX-License-Identifier: Apache-2.0
"""`hold doctor`: looks at the machine and at what a daemon keeps, and says what is wrong with the next step. Read only."""
