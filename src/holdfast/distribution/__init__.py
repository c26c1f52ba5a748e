# SPDX-License-Identifier: Apache-2.0
"""Remote registries and the content store: resolving, pulling, authenticating."""

from holdfast.distribution.cancellation import Cancellation, Cancelled
from holdfast.distribution.credentials import ANONYMOUS, Credentials
from holdfast.distribution.endpoints import RegistryConfig
from holdfast.distribution.pull import Puller, PullResult

__all__ = ["ANONYMOUS", "Cancellation", "Cancelled", "Credentials", "PullResult", "Puller", "RegistryConfig"]
