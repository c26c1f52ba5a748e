# SPDX-License-Identifier: Apache-2.0
"""Garbage collection while the registry serves: what no repository needs goes, what a push needs stays.

Three rules make it safe. A lease opened first protects every blob that lands or is leased meanwhile, and those whose
lease is older; a link that no manifest uses lives for a grace after it was last asked for; and a manifest is only taken
when all that it names is linked at that moment, under the lock under which links go. Called by `registry.main` in a
thread, and by tests.
"""

from __future__ import annotations

import logging
import threading
import time

from holdfast import content
from holdfast.errors import HoldfastError
from holdfast.oci.digest import Digest
from holdfast.registry.catalogue import Catalogue
from holdfast.registry.sessions import Sessions

_LOG = logging.getLogger("holdfast.registry")
GRACE_SECONDS = 3600.0
INTERVAL_SECONDS = 600.0


def collect(store: content.Store, catalogue: Catalogue, grace_seconds: float = GRACE_SECONDS) -> list[Digest]:
    """Deletes the blobs that nobody needs; returns which. Nothing while lost records hide what is needed."""
    if catalogue.is_damaged:
        _LOG.warning("records of this registry are damaged: nothing is collected")
        return []
    with store.lease(inherits=True):
        return store.collect(catalogue.drop_stale(grace_seconds))


def run_for_ever(
    store: content.Store, catalogue: Catalogue, sessions: Sessions, stop: threading.Event, interval: float
) -> None:
    """Collects now and then until told to stop; a failure is logged and tried again the next time."""
    while not stop.wait(interval):
        try:
            began = time.monotonic()
            ended = sessions.expire()
            gone = collect(store, catalogue)
            if gone or ended:
                seconds = time.monotonic() - began
                _LOG.info("collected %d blobs and %d uploads in %.1f s", len(gone), ended, seconds)
        except (HoldfastError, OSError):
            _LOG.exception("the garbage collection failed")
