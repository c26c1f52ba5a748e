# SPDX-License-Identifier: Apache-2.0
"""`--mount` and `-v` as the API's objects, and what is refused in the docker CLI's words."""

import pytest

from holdfast.cli import mount_flags
from holdfast.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("dst=/x", {"Type": "volume", "Target": "/x"}),
        (
            "type=bind,src=/a,target=/b,ro,bind-propagation=rslave",
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/b",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rslave"},
            },
        ),
        ('type=bind,"src=/a,b",dst=/x', {"Type": "bind", "Source": "/a,b", "Target": "/x"}),
        ('type=bind,"src=/a""b",dst=/x', {"Type": "bind", "Source": '/a"b', "Target": "/x"}),
        ("type=bind,src=./a/../b,dst=/x", {"Type": "bind", "Source": "/here/b", "Target": "/x"}),
        (
            "type=bind,src=/a,dst=/x,readonly,bind-recursive=readonly,bind-propagation=rprivate",
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/x",
                "ReadOnly": True,
                "BindOptions": {"ReadOnlyForceRecursive": True, "Propagation": "rprivate"},
            },
        ),
        (
            "type=bind,src=/a,dst=/x,bind-recursive=enabled,bind-create-src",
            {"Type": "bind", "Source": "/a", "Target": "/x", "BindOptions": {"CreateMountpoint": True}},
        ),
        (
            "src=v,dst=/x,volume-label=a=b,volume-label=c,volume-opt=o=bind,volume-driver=local,volume-subpath=s",
            {
                "Type": "volume",
                "Source": "v",
                "Target": "/x",
                "VolumeOptions": {
                    "Labels": {"a": "b", "c": ""},
                    "DriverConfig": {"Options": {"o": "bind"}, "Name": "local"},
                    "Subpath": "s",
                },
            },
        ),
        (
            "type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=1770",
            {"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770}},
        ),
        (
            "type=image,src=i,dst=/x,image-subpath=etc",
            {"Type": "image", "Source": "i", "Target": "/x", "ImageOptions": {"Subpath": "etc"}},
        ),
        ("src=v,dst=/x,idmap", {"Type": "volume", "Source": "v", "Target": "/x", "IDMap": "container"}),
        ("src=v,dst=/x,idmap=1000-0-1", {"Type": "volume", "Source": "v", "Target": "/x", "IDMap": "1000-0-1"}),
    ],
)
def test_a_mount_is_read_as_docker_reads_it(text, mount):
    assert mount_flags.parse(text, "/here") == mount


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "EOF"),
        ("src=x,dst=/x,tmpfs-size=1m", "cannot mix 'tmpfs-*' options with mount type 'volume'"),
        ("type=bind,src=/a,dst=/x,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
        ("type=tmpfs,dst=/x,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ("type=tmpfs,dst=/x,tmpfs-mode=0o777", "invalid value for tmpfs-mode: 0o777"),
        ("type=tmpfs,dst=/x,tmpfs-size=x", "invalid value for tmpfs-size: x"),
        ("src=v,dst=/x,readonly=maybe", "invalid value for readonly: maybe"),
        ("src=v,dst=/x,readonly=", "invalid value for readonly: "),
        ("src=v,dst=/x,bogus=1", "unexpected key 'bogus' in 'bogus=1'"),
        ("src=v, dst=/x", "unexpected key ' dst' in ' dst=/x'"),
        ("src=v,dst=/x,bogus", "invalid field 'bogus' must be a key=value pair"),
        ("src=v,dst=/x,volume-nocopy=bogus", "invalid value for volume-nocopy: bogus"),
        ('type=volume,dst="/x', 'parse error on line 1, column 17: bare " in non-quoted-field'),
        ('"src=v', 'parse error on line 1, column 7: extraneous or missing " in field'),
        ('"src=v"x', 'parse error on line 1, column 7: extraneous or missing " in field'),
        ("type=bind,src=/a,dst=/x,bind-recursive=bogus", "invalid value for bind-recursive: bogus (must be"),
        ("type=bind,src=/a,dst=/x,bind-recursive=writable", "requires 'readonly' to be specified in conjunction"),
        (
            "type=bind,src=/a,dst=/x,ro,bind-recursive=readonly",
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
        ),
    ],
)
def test_a_wrong_mount_is_refused_in_the_cli_s_words(text, reason):
    with pytest.raises(InvalidArgument) as caught:
        mount_flags.parse(text)

    assert '" for "--mount" flag: ' in caught.value.message
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("./a:/x:ro", "/here/a:/x:ro"),
        (".:/x", "/here:/x"),
        ("../a:/x", "/a:/x"),
        ("name:/x", "name:/x"),
        ("/a:/x", "/a:/x"),
        (".hidden:/x", ".hidden:/x"),
    ],
)
def test_only_a_source_that_begins_with_a_dot_counts_from_here(text, bound):
    assert mount_flags.bind(text, "/here") == bound
