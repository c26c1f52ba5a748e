# SPDX-License-Identifier: Apache-2.0
"""What users write, what it means, and Docker's words when it means nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InvalidArgument
from holdfast.oci import reference

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "name", "tag", "digest", "familiar"),
    [
        ("alpine", "docker.io/library/alpine", None, None, "alpine"),
        ("alpine:3.20", "docker.io/library/alpine", "3.20", None, "alpine:3.20"),
        ("team/app", "docker.io/team/app", None, None, "team/app"),
        ("library/alpine", "docker.io/library/alpine", None, None, "alpine"),
        ("index.docker.io/alpine", "docker.io/library/alpine", None, None, "alpine"),
        ("docker.io/library/a/b", "docker.io/library/a/b", None, None, "library/a/b"),
        ("localhost/app", "localhost/app", None, None, "localhost/app"),
        ("localhost:5000/app:v1", "localhost:5000/app", "v1", None, "localhost:5000/app:v1"),
        ("[::1]:5000/app", "[::1]:5000/app", None, None, "[::1]:5000/app"),
        ("Registry/app", "Registry/app", None, None, "Registry/app"),
        ("a.b/c__d/e-f--g", "a.b/c__d/e-f--g", None, None, "a.b/c__d/e-f--g"),
        (f"x:t@sha256:{HEX}", "docker.io/library/x", "t", f"sha256:{HEX}", f"x:t@sha256:{HEX}"),
        (f"x@sha256:{HEX}", "docker.io/library/x", None, f"sha256:{HEX}", f"x@sha256:{HEX}"),
    ],
)
def test_normalises_as_docker_does(text: str, name: str, tag: str, digest: str, familiar: str) -> None:
    parsed = reference.parse(text)

    assert (parsed.name, parsed.tag, parsed.digest, parsed.familiar) == (name, tag, digest, familiar)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("foo:", "invalid reference format"),
        ("foo/", "invalid reference format"),
        ("/foo", "invalid reference format"),
        ("foo bar", "invalid reference format"),
        ("foo\n", "invalid reference format"),
        ("foo..bar/x//y", "invalid reference format"),
        ("foo@sha256:abc", "invalid reference format"),
        ("foo:" + "t" * 129, "invalid reference format"),
        ("../etc/passwd", "invalid reference format"),
        ("é", "invalid reference format"),
        (f"foo@md5:{HEX}", "unsupported digest algorithm"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        ("a/" * 128 + "a", "repository name must not be more than 255 characters"),
    ],
)
def test_refuses_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        reference.parse(text)

    assert caught.value.message == message


def test_default_tag_is_added_only_where_nothing_pins_the_image() -> None:
    assert reference.parse("x").with_default_tag().familiar == "x:latest"
    assert reference.parse("x:1").with_default_tag().familiar == "x:1"
    assert reference.parse(f"x@sha256:{HEX}").with_default_tag().tag is None


def test_a_digest_cannot_be_a_tag_target() -> None:
    with pytest.raises(InvalidArgument, match="refusing to create a tag with a digest reference"):
        reference.parse_tagged(f"x@sha256:{HEX}")


@given(st.text(max_size=80))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        parsed = reference.parse(text)
    except InvalidArgument:
        return

    assert reference.parse(str(parsed)) == parsed
    assert reference.parse(parsed.familiar) == parsed


@given(st.from_regex(r"[a-z0-9.:/@_-]{1,60}", fullmatch=True))
def test_what_looks_like_a_reference_round_trips(text: str) -> None:
    try:
        parsed = reference.parse(text)
    except InvalidArgument:
        return

    assert reference.parse(str(parsed)) == parsed
    assert "/../" not in f"/{parsed.path}/"
