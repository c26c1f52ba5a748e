# SPDX-License-Identifier: Apache-2.0
"""Images: list, inspect, history, pull, import, load, save, tag, remove, prune, push.

Called through `daemon.wiring`. Source: Engine API v1.51 "Image"; texts and statuses of dockerd 28.5.
"""

from __future__ import annotations

import os

from holdfast import images
from holdfast.api import decode
from holdfast.api.http import Empty, Json, Request, Response, Stream
from holdfast.api.router import Handler, Route
from holdfast.api.schema import images as schema
from holdfast.api.schema import messages
from holdfast.distribution import credentials
from holdfast.engine import image_platform, remote_archive, usage
from holdfast.engine.filtering import Filters
from holdfast.engine.jobs.import_image import import_image
from holdfast.engine.jobs.list_images import list_images, shared_sizes
from holdfast.engine.jobs.load import load
from holdfast.engine.jobs.prune_images import prune_images
from holdfast.engine.jobs.pull import pull
from holdfast.engine.jobs.push import check_platform, push
from holdfast.engine.jobs.remove_image import remove_image
from holdfast.engine.jobs.save import save
from holdfast.engine.jobs.tag import tag
from holdfast.engine.packages import Packages
from holdfast.errors import InvalidArgument
from holdfast.oci import digest as digests
from holdfast.oci import platform as platforms
from holdfast.oci import reference as references
from holdfast.oci.digest import Digest
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference

_FILTER_PARAMETER_UNTIL = (1, 40)
_PLATFORM_SINCE = (1, 48)
_INSPECT_PLATFORM_SINCE = (1, 49)
_DELETE_PLATFORMS_SINCE = (1, 50)
_TAR = "application/x-tar"
_AUTH_HEADER = "x-registry-auth"


def routes(packages: Packages) -> list[Route]:
    """The routes of this noun."""
    return [*_transfers(packages), *_archives(packages), *_stock(packages)]


def _stock(packages: Packages) -> list[Route]:
    """What is done with images that are here."""
    store, events = packages.images, packages.events

    async def index(request: Request) -> Response:
        found = list_images(store=store, filters=_filters(request), show_all=request.query.boolean("all"))
        sizes = shared_sizes(store, found) if request.query.boolean("shared-size") else {}
        users = usage.image_counts(packages.containers.list())
        return Json(
            [schema.render_summary(image, request.version, users[image.id], sizes.get(image.id, -1)) for image in found]
        )

    async def inspect(request: Request) -> Response:
        platform = _platform_since(request, _INSPECT_PLATFORM_SINCE)
        if platform is not None and request.query.boolean("manifests"):
            raise InvalidArgument("conflicting options: manifests and platform options cannot both be set")
        _check_platform(store, request, _INSPECT_PLATFORM_SINCE)
        image = store.get(request.params["name"])
        layers = packages.snapshots.layers(image.chain_id) if image.chain_id else []
        return Json(schema.render_image(image, request.version, packages.snapshots.name, layers))

    async def history(request: Request) -> Response:
        _check_platform(store, request, _PLATFORM_SINCE)
        return Json([schema.render_history(item) for item in store.history(request.params["name"])])

    async def add_tag(request: Request) -> Response:
        target = new_name(request.query.text("repo"), request.query.text("tag"))
        await tag(store=store, events=events, name=request.params["name"], target=target)
        return Empty(201)

    async def remove(request: Request) -> Response:
        if not request.params["name"].strip():
            raise InvalidArgument("image name cannot be blank")
        if request.version >= _DELETE_PLATFORMS_SINCE:
            for text in request.query.many("platforms"):
                image_platform.check(store, request.params["name"], _parsed_platform(text))
        removed = await remove_image(
            store=store,
            events=events,
            records=packages.containers.list(),
            name=request.params["name"],
            force=request.query.boolean("force"),
            keep_parents=request.query.boolean("noprune"),
        )
        return Json([schema.render_removed(item) for item in removed])

    async def prune(request: Request) -> Response:
        pruned = await prune_images(
            store=store, events=events, records=packages.containers.list(), filters=request.query.filters()
        )
        removed = [schema.render_removed(item) for item in pruned.removed]
        return Json(schema.ImagePrune(removed or None, pruned.freed_bytes))

    return [
        Route("GET", "/images/json", index),
        Route("POST", "/images/prune", prune),
        Route("GET", "/images/{name...}/json", inspect),
        Route("GET", "/images/{name...}/history", history),
        Route("POST", "/images/{name...}/tag", add_tag),
        Route("DELETE", "/images/{name...}", remove),
    ]


def _transfers(packages: Packages) -> list[Route]:
    """What brings images here, or carries them to a registry."""
    store, events = packages.images, packages.events

    import_archive, pull_image = _import(packages), _pull(packages)

    async def create(request: Request) -> Response:
        return await (pull_image if request.query.text("fromImage") else import_archive)(request)

    async def push_image(request: Request) -> Response:
        if digests.is_digest(request.query.text("tag")):
            raise InvalidArgument("invalid tag format")
        reference = parse_reference(request.params["name"], request.query.text("tag"))
        platform = _platform_document(request.query.text("platform"))
        who = credentials.from_header(request.headers.get(_AUTH_HEADER, ""))
        if platform is not None:
            check_platform(store, reference, platform)
        return await messages.stream(
            lambda progress: push(
                pusher=packages.pusher,
                store=store,
                events=events,
                reference=reference,
                platform=platform,
                credentials=who,
                progress=progress,
            ),
            may_fail_with_status=False,
        )

    return [
        Route("POST", "/images/create", create),
        Route("POST", "/images/{name...}/push", push_image),
    ]


def _import(packages: Packages) -> Handler:
    """An archive of files that becomes an image."""

    async def import_archive(request: Request) -> Response:
        source = request.query.text("fromSrc")
        if not source:
            raise InvalidArgument("one of fromImage and fromSrc must be given")
        url = "" if source == "-" else remote_archive.check(source)
        archive = remote_archive.fetch(url, packages.config.proxies) if url else request.body()
        repository = request.query.text("repo")
        target = new_name(repository, request.query.text("tag")) if repository else None
        platform = _platform(request.query.text("platform"))
        if platform is not None and platform.os != "linux":
            raise InvalidArgument("operating system is not supported")
        return await messages.stream(
            lambda progress: import_image(
                store=packages.images,
                events=packages.events,
                archive=archive,
                origin=url,
                target=target,
                platform=platform,
                message=request.query.text("message"),
                changes=request.query.many("changes"),
                progress=progress,
            )
        )

    return import_archive


def _pull(packages: Packages) -> Handler:
    """An image, or all of a repository, from a registry."""

    async def pull_image(request: Request) -> Response:
        reference = parse_reference(request.query.text("fromImage"), request.query.text("tag"))
        platform = _platform(request.query.text("platform"))
        who = credentials.from_header(request.headers.get(_AUTH_HEADER, ""))
        return await messages.stream(
            lambda progress: pull(
                puller=packages.distribution,
                store=packages.images,
                events=packages.events,
                reference=reference,
                platform=platform,
                credentials=who,
                progress=progress,
            )
        )

    return pull_image


def _archives(packages: Packages) -> list[Route]:
    """Many images in one tar, both ways."""
    store, events = packages.images, packages.events

    async def load_archive(request: Request) -> Response:
        is_quiet = request.query.boolean("quiet")
        platform = _platform_since(request, _PLATFORM_SINCE)
        return await messages.stream(
            lambda progress: load(
                store=store,
                events=events,
                archive=request.body(),
                progress=progress,
                is_quiet=is_quiet,
                platform=platform,
            ),
            may_fail_with_status=False,
        )

    async def save_one(request: Request) -> Response:
        return await save_all(request, [request.params["name"]])

    async def save_many(request: Request) -> Response:
        names = request.query.many("names")
        if not names:
            raise InvalidArgument("no images were named")
        return await save_all(request, names)

    async def save_all(request: Request, names: list[str]) -> Response:
        platform = _platform_since(request, _PLATFORM_SINCE)
        return Stream(await save(store=store, events=events, names=names, platform=platform), _TAR)

    return [
        Route("POST", "/images/load", load_archive),
        Route("GET", "/images/get", save_many),
        Route("GET", "/images/{name...}/get", save_one),
    ]


def parse_reference(name: str, tag: str) -> Reference:
    """A repository with its tag (or digest) in a parameter of its own, which wins over one in the name."""
    reference = references.parse(name)
    if not tag:
        return reference
    if digests.is_digest(tag):
        return reference.without_suffix().with_digest(Digest(tag))
    return reference.without_suffix().with_tag(tag)


def new_name(name: str, tag: str) -> Reference:
    """What an image is to be called: no digest, and no name that reads like one."""
    target = parse_reference(name, tag)
    if target.digest is not None:
        raise InvalidArgument("cannot import digest reference")
    return references.parse_tagged(str(target))


def _filters(request: Request) -> Filters:
    """The filters, with the `filter` parameter that Docker had until 1.40."""
    filters = request.query.filters()
    name = request.query.text("filter")
    if name and request.version <= _FILTER_PARAMETER_UNTIL:
        filters.setdefault("reference", []).append(name)
    return filters


def _check_platform(store: images.Store, request: Request, since: tuple[int, int]) -> None:
    """NotFound when the client means another platform than the image's."""
    wanted = _platform_since(request, since)
    if wanted is not None:
        image_platform.check(store, request.params["name"], wanted)


def _platform_since(request: Request, since: tuple[int, int]) -> Platform | None:
    """The one platform that clients of newer versions may name."""
    texts = request.query.many("platform") if request.version >= since else []
    if len(texts) > 1:
        raise InvalidArgument("multiple platform parameters not supported")
    return _platform_document(texts[0]) if texts else None


def _platform_document(text: str) -> Platform | None:
    """The platform of what is here: a JSON object, where a pull has text."""
    return _parsed_platform(text) if text else None


def _parsed_platform(text: str) -> Platform:
    try:
        found = decode.decode(text.encode(errors="replace"), Platform)
    except InvalidArgument as error:
        raise InvalidArgument(f"failed to parse platform: {error.message.removeprefix('invalid JSON: ')}") from None
    if not found.os or not found.architecture:
        raise InvalidArgument("both OS and Architecture must be provided")
    return found


def _platform(text: str) -> Platform | None:
    return platforms.parse(text, os.uname().machine) if text else None
