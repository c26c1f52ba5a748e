# SPDX-License-Identifier: Apache-2.0
"""Remote registries and the content store: resolving, pulling, pushing, authenticating."""

from holdfast.distribution.cancellation import Cancellation, Cancelled
from holdfast.distribution.credentials import ANONYMOUS, Credentials
from holdfast.distribution.endpoints import RegistryConfig
from holdfast.distribution.open_uploads import OpenUploads
from holdfast.distribution.origins import Origins
from holdfast.distribution.pull import Puller, PullResult
from holdfast.distribution.push import Pusher
from holdfast.distribution.registries import Registries

__all__ = [
    "ANONYMOUS",
    "Cancellation",
    "Cancelled",
    "Credentials",
    "OpenUploads",
    "Origins",
    "PullResult",
    "Puller",
    "Pusher",
    "Registries",
    "RegistryConfig",
]
