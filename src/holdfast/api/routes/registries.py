# SPDX-License-Identifier: Apache-2.0
"""Questions to registries: `/auth`, `/distribution/{name}/json` and `/images/search`.

Called through `daemon.wiring`. Source: Engine API v1.51 SystemAuth, DistributionInspect, ImageSearch; dockerd 28.5.
"""

from __future__ import annotations

from holdfast.api.http import Json, Request, Response
from holdfast.api.router import Route
from holdfast.api.schema import images as schema
from holdfast.distribution import Credentials, credentials
from holdfast.engine.jobs.authenticate import authenticate
from holdfast.engine.jobs.inspect_distribution import inspect_distribution
from holdfast.engine.jobs.search import search
from holdfast.engine.packages import Packages
from holdfast.oci import reference as references
from holdfast.oci.platform import Platform


def routes(packages: Packages) -> list[Route]:
    """The routes of this noun."""

    async def log_in(request: Request) -> Response:
        body = await request.json(schema.AuthRequest)
        await authenticate(
            puller=packages.distribution,
            credentials=Credentials(
                username=body.username,
                password=body.password,
                identity_token=body.identitytoken,
                registry_token=body.registrytoken,
                server_address=body.serveraddress,
            ),
        )
        return Json(schema.AuthAnswer(IdentityToken=body.identitytoken, Status="Login Succeeded"))

    async def describe(request: Request) -> Response:
        reference = references.parse(request.params["name"])
        who = credentials.from_header(request.headers.get("x-registry-auth", ""))
        descriptor, platforms = await inspect_distribution(
            puller=packages.distribution, reference=reference, credentials=who
        )
        return Json({"Descriptor": descriptor.to_json(), "Platforms": [_render(platform) for platform in platforms]})

    async def find(request: Request) -> Response:
        found = await search(
            puller=packages.distribution,
            term=request.query.text("term"),
            limit=request.query.integer("limit") or 0,
            filters=request.query.filters(),
            credentials=credentials.from_header(request.headers.get("x-registry-auth", "")),
        )
        return Json(found)

    return [
        Route("GET", "/images/search", find),
        Route("POST", "/auth", log_in),
        Route("GET", "/distribution/{name...}/json", describe),
    ]


def _render(platform: Platform) -> dict[str, object]:
    """The members in the order in which Go writes them."""
    known: dict[str, object] = {"architecture": platform.architecture, "os": platform.os}
    optional = {
        "os.version": platform.os_version,
        "os.features": list(platform.os_features),
        "variant": platform.variant,
    }
    return known | {key: value for key, value in optional.items() if value}
