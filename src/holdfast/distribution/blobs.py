# SPDX-License-Identifier: Apache-2.0
"""Fetching one layer's blob into the content store: resumed, counted, verified, told as Docker tells it.

What arrived stays as a partial file when the line drops, the daemon dies or the user gives up, and the next attempt
asks only for the rest. Bytes that turn out wrong are deleted. Memory: one chunk. Called by `distribution.pull`,
in the threads of its download pool. Source: OCI distribution-spec v1.1 §pulling-blobs; RFC 9110 §14 (ranges).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from holdfast import content
from holdfast.distribution import progress as messages
from holdfast.distribution import retry
from holdfast.distribution.answers import Refused, Transient
from holdfast.distribution.cancellation import Cancellation
from holdfast.distribution.http import Unreachable
from holdfast.distribution.progress import Meter, Progress
from holdfast.distribution.remote import Remote
from holdfast.errors import Corrupt, Exhausted
from holdfast.oci import digest as digests
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest


class Target(Protocol):
    """Where a blob goes: a content store, or what stands for one."""

    def has(self, digest: Digest, size: int) -> bool:
        """Tells whether the blob is there, in its size."""
        ...

    def ingest(self, ref: str, expected: Digest, size: int) -> content.Ingest:
        """Begins or resumes it."""
        ...


def fetch(
    remote: Remote,
    descriptor: Descriptor,
    store: Target,
    progress: Progress,
    cancellation: Cancellation,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Makes the blob present; raises RegistryDown, Refused, Corrupt, Exhausted or Cancelled.

    A no-op but for the message when it is present already. The descriptor's `urls` are never followed.
    """
    identifier = digests.short(descriptor.digest)
    if not store.has(descriptor.digest, descriptor.size):
        with store.ingest(f"blob-{descriptor.digest}", descriptor.digest, descriptor.size) as ingest:
            meter = Meter(progress, "Downloading", identifier, descriptor.size)
            try:
                _receive_all(remote, descriptor, ingest, meter, cancellation, clock)
                progress(messages.layer("Verifying Checksum", identifier))
                ingest.commit()
            except Exhausted:
                ingest.abort()  # a part kept for later would keep the disk full
                raise
    progress(messages.layer("Download complete", identifier))


def _receive_all(
    remote: Remote,
    descriptor: Descriptor,
    ingest: content.Ingest,
    meter: Meter,
    cancellation: Cancellation,
    clock: Callable[[], float],
) -> None:
    series = retry.Series(remote.policy, clock())
    while ingest.offset < descriptor.size:
        cancellation.check()
        before = ingest.offset
        try:
            _receive(remote, descriptor, ingest, meter, cancellation, clock)
        except Refused as refusal:
            if refusal.status != 416 or not before:
                raise
            ingest.restart()
        except (Transient, Unreachable) as failure:
            cancellation.check()
            if isinstance(failure, Unreachable) and failure.is_final:
                raise
            if ingest.offset > before:
                series.progressed(clock())
            remote.rest(series, f"blob {descriptor.digest}", failure, cancellation)


def _receive(
    remote: Remote,
    descriptor: Descriptor,
    ingest: content.Ingest,
    meter: Meter,
    cancellation: Cancellation,
    clock: Callable[[], float],
) -> None:
    """One answer's worth of bytes; returns when the blob has its size."""
    got = remote.blob(descriptor.digest, ingest.offset)
    with got.answer as answer, cancellation.watched(answer.shutdown):
        if got.total is not None and got.total != descriptor.size:
            ingest.abort()
            raise Corrupt(
                f"blob {descriptor.digest}: {remote.endpoint.host} sends {got.total} bytes, "
                f"the manifest declares {descriptor.size}"
            )
        skip = got.skip
        for chunk in answer.chunks():
            cancellation.check()
            if skip:
                dropped = min(skip, len(chunk))
                skip -= dropped
                chunk = chunk[dropped:]
            if chunk:
                ingest.write(chunk)
                meter.report(ingest.offset, clock())
    cancellation.check()
    if ingest.offset < descriptor.size:
        raise Transient(f"the answer ended after {ingest.offset} of {descriptor.size} bytes")
