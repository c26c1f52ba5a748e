# SPDX-License-Identifier: Apache-2.0
"""Pulls from real HTTP servers on loopback, good and evil (security.md §2.2)."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from holdfast.distribution import Puller, Registries, RegistryConfig
from holdfast.distribution.cancellation import Cancellation, Cancelled
from holdfast.distribution.credentials import Credentials
from holdfast.distribution.http import Unreachable
from holdfast.distribution.remote import RegistryDown
from holdfast.errors import Corrupt, HoldfastError, InvalidArgument, NotFound, Unauthenticated
from holdfast.oci import media, platform, reference

ALICE = Credentials(username="alice", password="hunter2-canary")


def ref(registry: Any, tail: str = "library/x:latest") -> reference.Reference:
    return reference.parse(f"{registry.host}/{tail}")


def leftovers(store: Any) -> list[str]:
    return list(store.iter())


def test_an_image_of_two_layers_lands_and_tells_dockers_story(registry: Any, puller: Any, images: Any) -> None:
    registry.add_image("latest", b"base" * 3000, b"top" * 900)
    digest = registry.add_document("latest", json.loads(registry.manifests["latest"].data))
    told: list[dict[str, Any]] = []

    result = puller.pull(ref(registry), progress=told.append)

    texts = [message["status"] for message in told]
    assert texts[0] == "Pulling from library/x"
    assert told[0] == {"status": "Pulling from library/x", "id": "latest"}
    assert texts.count("Pulling fs layer") == 2
    assert texts.count("Pull complete") == 2
    assert told[-2:] == [
        {"status": f"Digest: {digest}"},
        {"status": f"Status: Downloaded newer image for {registry.host}/library/x:latest"},
    ]
    assert result.digest == digest
    assert result.is_newer
    assert len(images.chains) == 2


def test_a_second_pull_transfers_no_layer_and_says_up_to_date(registry: Any, puller: Any) -> None:
    registry.add_image("latest", b"base" * 3000)
    puller.pull(ref(registry))
    before = len(registry.requests("/blobs/"))
    told: list[dict[str, Any]] = []

    result = puller.pull(ref(registry), progress=told.append)

    assert len(registry.requests("/blobs/")) == before
    assert not result.is_newer
    assert [message["status"].split(" for ")[0] for message in told] == [
        "Pulling from library/x",
        f"Digest: {result.digest}",
        "Status: Image is up to date",
    ]


def test_a_shared_base_already_exists(registry: Any, puller: Any) -> None:
    registry.add_image("latest", b"base", b"one")
    registry.add_image("two", b"base", b"two")
    puller.pull(ref(registry))
    told: list[dict[str, Any]] = []

    puller.pull(ref(registry, "library/x:two"), progress=told.append)

    assert [message["status"] for message in told].count("Already exists") == 1
    assert [message["status"] for message in told].count("Pull complete") == 1


def test_corrupt_a_blob_of_another_content_is_refused_and_leaves_nothing(
    registry: Any, puller: Any, store: Any, images: Any
) -> None:
    registry.add_image("latest", b"base")
    [layer] = json.loads(registry.manifests["latest"].data)["layers"]
    registry.blobs[layer["digest"]] = bytes(layer["size"])

    with pytest.raises(Corrupt, match=layer["digest"]):
        puller.pull(ref(registry))

    assert not store.has(layer["digest"])
    assert not images.names
    assert not images.chains
    with store.ingest(f"blob-{layer['digest']}", layer["digest"], layer["size"]) as again:
        assert again.offset == 0


def test_badsize_a_blob_larger_than_declared_is_refused_before_it_is_read(
    registry: Any, puller: Any, store: Any
) -> None:
    manifest = registry.manifest(b"x" * 100)
    manifest["layers"][0]["size"] = 5
    registry.add_document("latest", manifest)

    with pytest.raises(Corrupt, match="declares 5"):
        puller.pull(ref(registry))

    assert not store.has(manifest["layers"][0]["digest"])


def test_badsize_without_a_length_stops_at_the_declared_size(registry: Any, puller: Any, store: Any) -> None:
    manifest = registry.manifest(b"x" * 100)
    manifest["layers"][0]["size"] = 5
    registry.add_document("latest", manifest)
    sent = []

    def endless(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        try:
            for _ in range(2000):
                handler.wfile.write(bytes(65536))
                sent.append(65536)
        except OSError:
            pass
        return True

    registry.misbehave(manifest["layers"][0]["digest"], endless)

    with pytest.raises(Corrupt, match="larger than the 5 bytes"):
        puller.pull(ref(registry))

    assert sum(sent) < 2000 * 65536
    assert not store.has(manifest["layers"][0]["digest"])


def test_wronghdr_a_lying_content_digest_header_is_refused(registry: Any, puller: Any) -> None:
    registry.add_document("latest", registry.manifest(b"x"), Docker_Content_Digest="sha256:" + "0" * 64)

    with pytest.raises(Corrupt, match="manifest verification failed"):
        puller.pull(ref(registry))


def test_a_manifest_that_is_not_the_digest_asked_for_is_refused(registry: Any, puller: Any) -> None:
    registry.add_image("latest", b"x")
    asked = "sha256:" + "1" * 64
    registry.manifests[asked] = registry.manifests["latest"]

    with pytest.raises(Corrupt, match="manifest verification failed"):
        puller.pull(ref(registry, f"library/x@{asked}"))


def test_an_index_may_spell_a_manifest_s_type_otherwise_but_not_call_it_an_index(registry: Any, puller: Any) -> None:
    """Docker's spelling and OCI's are one kind: dockerd does not compare them, and never takes one kind for another."""
    document = registry.manifest(b"x")
    digest = registry.add_document("inner", document)
    size = len(registry.manifests["inner"].data)
    place = {"os": "linux", "architecture": "amd64"}
    for claimed in (media.DOCKER_MANIFEST, media.OCI_INDEX):
        entry = {"mediaType": claimed, "digest": digest, "size": size}
        entry |= {"platform": place} if claimed == media.DOCKER_MANIFEST else {}
        index = {"schemaVersion": 2, "mediaType": media.DOCKER_LIST, "manifests": [entry]}
        registry.add_document("latest", index, media.DOCKER_LIST)
        if claimed == media.DOCKER_MANIFEST:
            puller.pull(ref(registry))
        else:
            with pytest.raises(InvalidArgument, match="its index says"):
                puller.pull(ref(registry))


@pytest.mark.parametrize(
    "manifests", [[], [{"mediaType": media.OCI_MANIFEST, "digest": "sha256:" + "0" * 64, "size": 2}]]
)
def test_confused_a_manifest_with_layers_and_manifests_is_refused(registry: Any, puller: Any, manifests: Any) -> None:
    registry.add_document("latest", registry.manifest(b"x") | {"manifests": manifests})

    with pytest.raises(InvalidArgument, match="both layers and manifests"):
        puller.pull(ref(registry))


def test_confused_a_content_type_that_differs_from_the_document_is_refused(registry: Any, puller: Any) -> None:
    registry.add_document("latest", registry.manifest(b"x"), media.OCI_INDEX)

    with pytest.raises(InvalidArgument, match="announced as"):
        puller.pull(ref(registry))


@pytest.mark.parametrize("is_announced", [True, False])
def test_huge_a_manifest_above_four_mebibytes_is_not_read(registry: Any, puller: Any, is_announced: bool) -> None:
    def huge(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", media.OCI_MANIFEST)
        if is_announced:
            handler.send_header("Content-Length", str(20 << 20))
        else:
            handler.close_connection = True
        handler.end_headers()
        try:
            for _ in range(20):
                handler.wfile.write(b" " * (1 << 20))
        except OSError:
            handler.close_connection = True
        return True

    registry.misbehave("/manifests/", huge)

    with pytest.raises(InvalidArgument, match="larger than the limit"):
        puller.pull(ref(registry))


def test_baddigest_a_digest_that_is_a_path_is_refused(registry: Any, puller: Any) -> None:
    manifest = registry.manifest(b"x")
    manifest["layers"][0]["digest"] = "sha256:../../../../etc/passwd"
    registry.add_document("latest", manifest)

    with pytest.raises(InvalidArgument, match="invalid digest"):
        puller.pull(ref(registry))

    assert not registry.requests("passwd")


def test_foreign_layer_urls_are_never_followed(registry: Any, other_registry: Any, puller: Any) -> None:
    manifest = registry.manifest(b"x")
    manifest["layers"][0]["urls"] = [f"http://{other_registry.host}/evil"]
    manifest["layers"][0]["mediaType"] = media.DOCKER_LAYER_FOREIGN
    registry.add_document("latest", manifest)

    puller.pull(ref(registry))

    assert not other_registry.seen


def test_authrealm_a_password_does_not_go_to_a_realm_on_another_port(
    registry: Any, other_registry: Any, puller: Any
) -> None:
    registry.add_image("latest", b"x")
    registry.misbehave(
        "/v2/",
        lambda h: h.refuse(
            401,
            "UNAUTHORIZED",
            "authentication required",
            {"WWW-Authenticate": f'Bearer realm="http://{other_registry.host}/token",service="r"'},
        ),
    )
    other_registry.misbehave("/token", lambda h: h.refuse(401, "UNAUTHORIZED", "who are you"))

    with pytest.raises(Unauthenticated) as caught:
        puller.pull(ref(registry), credentials=ALICE)

    [asked] = other_registry.seen
    assert "authorization" not in asked.headers
    assert "alice" not in asked.path
    assert "another host" in caught.value.message
    assert ALICE.password not in caught.value.message


def test_a_bearer_token_is_fetched_once_with_the_scope_and_used(registry: Any, puller: Any) -> None:
    registry.add_image("latest", b"x", b"y")

    def demand(handler: Any) -> bool:
        if handler.headers.get("Authorization") == "Bearer good":
            return False
        return handler.refuse(
            401,
            "UNAUTHORIZED",
            "authentication required",
            {
                "WWW-Authenticate": f'Bearer realm="http://{registry.host}/token",service="r",'
                'scope="repository:library/x:pull"'
            },
        )

    registry.misbehave("/v2/", demand)
    registry.misbehave("/token", lambda h: h.reply(200, b'{"token":"good","expires_in":300}', {}))

    puller.pull(ref(registry), credentials=ALICE)

    [asked] = registry.requests("/token")
    assert "scope=repository%3Alibrary%2Fx%3Apull" in asked.path
    assert asked.path.count("scope=") == 1
    assert asked.headers["authorization"].startswith("Basic ")


def test_a_rejected_token_is_renewed_once_and_then_the_user_is_told(registry: Any, puller: Any) -> None:
    registry.misbehave(
        "/v2/",
        lambda h: h.refuse(
            401,
            "UNAUTHORIZED",
            "authentication required",
            {"WWW-Authenticate": f'Bearer realm="http://{registry.host}/token",service="r"'},
        ),
    )
    registry.misbehave("/token", lambda h: h.reply(200, b'{"token":"stale"}', {}))

    with pytest.raises(Unauthenticated, match="authentication required"):
        puller.pull(ref(registry), credentials=ALICE)

    assert len(registry.requests("/token")) == 1


def test_basic_credentials_reach_a_loopback_registry_after_a_challenge_only(registry: Any, puller: Any) -> None:
    registry.add_image("latest", b"x")

    def demand(handler: Any) -> bool:
        if handler.headers.get("Authorization", "").startswith("Basic "):
            return False
        return handler.refuse(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": 'Basic realm="r"'})

    registry.misbehave("/v2/", demand)

    puller.pull(ref(registry), credentials=ALICE)

    assert "authorization" not in registry.seen[0].headers
    assert "authorization" in registry.seen[1].headers


def test_without_credentials_a_basic_challenge_is_docker_text(registry: Any, puller: Any) -> None:
    registry.misbehave("/v2/", lambda h: h.refuse(401, "UNAUTHORIZED", "no", {"WWW-Authenticate": 'Basic realm="r"'}))

    with pytest.raises(Unauthenticated, match="no basic auth credentials"):
        puller.pull(ref(registry))


def test_redir_the_authorization_stays_behind_on_a_redirect_to_another_host(
    registry: Any, other_registry: Any, puller: Any
) -> None:
    registry.add_image("latest", b"x")
    other_registry.blobs = registry.blobs

    def away(handler: Any) -> bool:
        if "Authorization" not in handler.headers:
            return handler.refuse(401, "UNAUTHORIZED", "?", {"WWW-Authenticate": 'Basic realm="r"'})
        if "/blobs/" not in handler.path:
            return False
        return handler.reply(307, b"", {"Location": f"http://{other_registry.host}{handler.path}"})

    registry.misbehave("/v2/", away)

    puller.pull(ref(registry), credentials=ALICE)

    assert other_registry.seen
    assert all("authorization" not in seen.headers for seen in other_registry.seen)


def test_a_redirect_loop_ends(registry: Any, puller: Any) -> None:
    registry.misbehave("/v2/", lambda h: h.reply(307, b"", {"Location": h.path}))

    with pytest.raises(Unreachable, match="redirects"):
        puller.pull(ref(registry))


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/x"])
def test_a_redirect_to_something_else_than_plain_http_addresses_is_refused(
    registry: Any, puller: Any, location: str
) -> None:
    registry.misbehave("/v2/", lambda h: h.reply(307, b"", {"Location": location}))

    with pytest.raises(Unreachable, match="refusing the redirect"):
        puller.pull(ref(registry))


@pytest.mark.parametrize("where", ["/manifests/", "/blobs/"])
def test_b503x2_two_bad_moments_are_survived(registry: Any, puller: Any, where: str) -> None:
    registry.add_image("latest", b"x")
    registry.misbehave(where, lambda h: h.reply(503, b"", {}), times=2)

    assert puller.pull(ref(registry)).is_newer


def test_b500_a_registry_that_stays_broken_is_named_with_what_was_tried(registry: Any, puller: Any) -> None:
    registry.add_image("latest", b"x")
    [layer] = json.loads(registry.manifests["latest"].data)["layers"]
    registry.misbehave(layer["digest"], lambda h: h.reply(500, b"", {}))
    began = time.monotonic()

    with pytest.raises(RegistryDown) as caught:
        puller.pull(ref(registry))

    assert registry.host in caught.value.message
    assert layer["digest"] in caught.value.message
    assert "4 attempts" in caught.value.message
    assert "500 Internal Server Error" in caught.value.message
    assert time.monotonic() - began < 5


def test_trunc_a_truncated_body_resumes_with_a_range(registry: Any, puller: Any) -> None:
    registry.add_image("latest", bytes(range(256)) * 400)
    [layer] = json.loads(registry.manifests["latest"].data)["layers"]
    blob = registry.blobs[layer["digest"]]

    def truncated(handler: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(blob)))
        handler.end_headers()
        handler.wfile.write(blob[:100])
        handler.close_connection = True
        return True

    registry.misbehave(layer["digest"], truncated, times=1)

    puller.pull(ref(registry))

    assert [seen.headers.get("range") for seen in registry.requests(layer["digest"])] == [None, "bytes=100-"]


def test_a_registry_that_ignores_ranges_is_read_from_the_start(registry: Any, puller: Any, store: Any) -> None:
    registry.add_image("latest", b"z" * 5000)
    [layer] = json.loads(registry.manifests["latest"].data)["layers"]
    blob = registry.blobs[layer["digest"]]
    with store.ingest(f"blob-{layer['digest']}", layer["digest"], layer["size"]) as partial:
        partial.write(blob[:10])
    registry.misbehave(layer["digest"], lambda h: h.reply(200, blob, {}))

    puller.pull(ref(registry))

    assert store.has(layer["digest"])


def test_a_stale_partial_beyond_the_blob_is_thrown_away(registry: Any, puller: Any, store: Any) -> None:
    registry.add_image("latest", b"z" * 5000)
    [layer] = json.loads(registry.manifests["latest"].data)["layers"]
    with store.ingest(f"blob-{layer['digest']}", layer["digest"], layer["size"]) as partial:
        partial.write(b"junk")
    registry.misbehave(layer["digest"], lambda h: h.refuse(416, "RANGE_INVALID", "no"), times=1)

    puller.pull(ref(registry))

    assert store.has(layer["digest"])


def test_concurrent_pulls_fetch_each_layer_once(registry: Any, puller: Any, images: Any) -> None:
    registry.add_image("latest", b"a" * 100, b"b" * 100)
    layers = json.loads(registry.manifests["latest"].data)["layers"]
    registry.misbehave("/blobs/", lambda h: bool(time.sleep(0.05)))
    errors: list[BaseException] = []

    def one() -> None:
        try:
            puller.pull(ref(registry))
        except HoldfastError as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert not errors
    assert [len(registry.requests(layer["digest"])) for layer in layers] == [1, 1]
    assert len(images.chains) == 2


def test_a_bad_registry_does_not_spoil_the_same_layer_pulled_from_a_good_one(
    registry: Any, other_registry: Any, puller: Any
) -> None:
    for each in (registry, other_registry):
        each.add_image("latest", b"shared")
    [layer] = json.loads(registry.manifests["latest"].data)["layers"]
    release = threading.Event()
    registry.misbehave(layer["digest"], lambda h: bool(release.wait(5)) and h.reply(404, b"", {}))
    failures: list[HoldfastError] = []

    def bad() -> None:
        with pytest.raises(HoldfastError) as caught:
            puller.pull(ref(registry))
        failures.append(caught.value)

    thread = threading.Thread(target=bad)
    thread.start()
    while not registry.requests(layer["digest"]):
        time.sleep(0.01)
    threading.Timer(0.2, release.set).start()

    assert puller.pull(ref(other_registry)).is_newer
    thread.join(5)
    assert failures


@pytest.mark.parametrize("has_an_older_one", [False, True])
def test_closing_ends_pulls_under_way(registry: Any, puller: Any, has_an_older_one: bool) -> None:
    if has_an_older_one:
        registry.add_image("latest", b"old")
        puller.pull(ref(registry))
    registry.add_image("latest", b"a" * 100)
    [layer] = json.loads(registry.manifests["latest"].data)["layers"]
    release = threading.Event()
    registry.misbehave(layer["digest"], lambda h: bool(release.wait(10)) and False)
    threading.Timer(0.2, puller.close).start()

    with pytest.raises(Cancelled):
        puller.pull(ref(registry))
    release.set()


def test_a_cancelled_pull_keeps_finished_blobs_and_ends_at_once(registry: Any, puller: Any, store: Any) -> None:
    registry.add_image("latest", b"a" * 100, b"b" * 100)
    first, second = json.loads(registry.manifests["latest"].data)["layers"]
    release = threading.Event()
    registry.misbehave(second["digest"], lambda h: bool(release.wait(10)) and False)
    cancellation = Cancellation()
    cancelled: list[float] = []

    def cancel_when_the_first_is_there() -> None:
        while not store.has(first["digest"]):
            time.sleep(0.01)
        cancelled.append(time.monotonic())
        cancellation.cancel()

    threading.Thread(target=cancel_when_the_first_is_there, daemon=True).start()

    with pytest.raises(Cancelled):
        puller.pull(ref(registry), cancellation=cancellation)

    assert time.monotonic() - cancelled[0] < 3
    assert store.has(first["digest"])
    release.set()


def test_a_cancelled_pull_does_not_end_another_of_the_same_layer(registry: Any, puller: Any, store: Any) -> None:
    registry.add_image("latest", b"a" * 100)
    [layer] = json.loads(registry.manifests["latest"].data)["layers"]
    release = threading.Event()
    registry.misbehave(layer["digest"], lambda h: bool(release.wait(10)) and False)
    cancellation = Cancellation()
    staying: list[Any] = []
    stayer = threading.Thread(target=lambda: staying.append(puller.pull(ref(registry))))
    stayer.start()
    while not registry.requests(layer["digest"]):
        time.sleep(0.01)
    threading.Timer(0.2, cancellation.cancel).start()

    with pytest.raises(Cancelled):
        puller.pull(ref(registry), cancellation=cancellation)
    release.set()
    stayer.join(10)

    assert staying
    assert len(registry.requests(layer["digest"])) == 1


def test_an_index_gives_the_manifest_of_the_platform(registry: Any, puller: Any, images: Any) -> None:
    entries = []
    for architecture in ("arm64", "amd64"):
        manifest = registry.manifest(architecture.encode(), architecture=architecture)
        digest = registry.add_document(architecture, manifest)
        size = len(registry.manifests[digest].data)
        place = {"os": "linux", "architecture": architecture}
        entries.append({"mediaType": media.OCI_MANIFEST, "digest": digest, "size": size, "platform": place})
    index = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}
    top = registry.add_document("latest", index, media.OCI_INDEX)

    result = puller.pull(ref(registry), platform=platform.parse("linux/arm64", "x86_64"))

    assert result.digest == top
    assert result.image_id == json.loads(registry.manifests["arm64"].data)["config"]["digest"]
    with pytest.raises(NotFound, match="no matching manifest for linux/s390x in the manifest list entries"):
        puller.pull(ref(registry), platform=platform.parse("linux/s390x", "x86_64"))


def test_an_index_that_contains_itself_ends(registry: Any, puller: Any) -> None:
    index = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": []}
    for _ in range(6):
        digest = registry.add_document("latest", index, media.OCI_INDEX)
        size = len(registry.manifests[digest].data)
        entry = {"mediaType": media.OCI_INDEX, "digest": digest, "size": size}
        index = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [entry]}

    with pytest.raises(HoldfastError):
        puller.pull(ref(registry))


def test_an_unknown_manifest_is_docker_404(registry: Any, puller: Any) -> None:
    with pytest.raises(NotFound) as caught:
        puller.pull(ref(registry, "library/none:latest"))

    assert caught.value.message == (
        f"manifest for {registry.host}/library/none:latest not found: manifest unknown: manifest unknown"
    )


def test_a_denied_pull_is_docker_404(registry: Any, puller: Any) -> None:
    registry.misbehave("/v2/", lambda h: h.refuse(403, "DENIED", "requested access to the resource is denied"))

    with pytest.raises(
        NotFound, match=r"pull access denied for .*/library/x, repository does not exist or may require"
    ):
        puller.pull(ref(registry))


@pytest.mark.parametrize("is_here", [False, True])
def test_nobody_listening_is_docker_text(registry: Any, puller: Any, store: Any, images: Any, is_here: bool) -> None:
    host = registry.host
    if is_here:
        registry.add_image("latest", b"a")
        before = Puller(store=store, images=images, registries=Registries(RegistryConfig(certs_dirs=())))
        before.pull(ref(registry))
        before.close()
    registry.close()

    with pytest.raises(Unreachable, match=f'Get "http://{host}/.*": dial tcp {host}: connect: connection refused'):
        puller.pull(ref(registry))


def test_an_artifact_is_no_image(registry: Any, puller: Any) -> None:
    manifest = registry.manifest(b"x")
    manifest["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
    registry.add_document("latest", manifest)

    with pytest.raises(InvalidArgument, match="unsupported media type"):
        puller.pull(ref(registry))


def test_layers_that_do_not_match_the_config_are_refused(registry: Any, puller: Any) -> None:
    manifest = registry.manifest(b"x", b"y")
    del manifest["layers"][0]
    registry.add_document("latest", manifest)

    with pytest.raises(InvalidArgument, match="1 layers, the config 2 diff ids"):
        puller.pull(ref(registry))
