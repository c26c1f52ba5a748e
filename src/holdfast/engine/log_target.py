# SPDX-License-Identifier: Apache-2.0
"""From a container's record to where its output goes, and back from there for who wants to read it. Pure.

Called by the jobs start and logs.
"""

from __future__ import annotations

from holdfast.containers.record import Record
from holdfast.engine.packages import Packages
from holdfast.errors import InvalidArgument
from holdfast.logs import places
from holdfast.logs.description import Speaker, describe
from holdfast.logs.formats import Format
from holdfast.shim.client import LogTarget


def plan(packages: Packages, record: Record) -> LogTarget:
    """What the shim must know; InvalidArgument for a tag or a pattern that is wrong."""
    log = record.host_config.log_config
    options = log.config or {}
    where = places.plan(log.type, options, packages.config.container_directory(record.id), record.id)
    speaker = Speaker(
        container_id=record.id,
        name=record.name,
        image_id=record.image_id,
        image_name=record.config.image,
        command=[record.path, *record.args],
        created_nanos=record.created_nanos,
        environment=record.config.env or (),
        labels=record.config.labels or {},
    )
    try:
        attributes, facts = describe(log.type, options, speaker)
    except InvalidArgument as error:
        raise InvalidArgument(f"failed to initialize logging driver: {error.message}") from None
    return LogTarget(
        driver=log.type,
        path=where.path,
        cache_path=where.cache_path,
        options=options,
        attributes=attributes,
        facts=facts,
    )


def readable(packages: Packages, record: Record) -> tuple[str, Format]:
    """The file to read the log from, and its form; Unsupported when nothing readable is kept."""
    log = record.host_config.log_config
    return places.readable(log.type, log.config or {}, packages.config.container_directory(record.id), record.id)
