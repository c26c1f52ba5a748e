# SPDX-License-Identifier: Apache-2.0
"""The local driver's options as planned mounts; those of NFS are mounted in tests/vm/nfs_volumes.py."""

import pytest

from holdfast.errors import InvalidArgument
from holdfast.kernel import mount
from holdfast.volumes import options
from holdfast.volumes.drivers.local import resolve_host


@pytest.mark.parametrize(
    ("words", "plan"),
    [
        ({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=5"}, ("tmpfs", "tmpfs", 0, "size=1m,uid=5", "")),
        ({"type": "none", "device": "/d", "o": "bind"}, ("/d", "none", mount.MS_BIND, "", "")),
        (
            {"type": "none", "device": "/d", "o": "rbind,ro,noexec,"},
            ("/d", "none", mount.MS_BIND | mount.MS_REC | mount.MS_RDONLY | mount.MS_NOEXEC, "", ""),
        ),
        ({"type": "tmpfs", "device": "t", "o": "ro,rw,defaults"}, ("t", "tmpfs", 0, "", "")),
        (
            {"type": "nfs", "device": ":/export", "o": "addr=10.0.0.1,nfsvers=4,ro"},
            (":/export", "nfs", mount.MS_RDONLY, "addr=10.0.0.1,nfsvers=4", ""),
        ),
        (
            {"type": "nfs4", "device": ":/export", "o": "nfsvers=4,addr=filer.lan,soft"},
            (":/export", "nfs4", 0, "nfsvers=4,addr=filer.lan,soft", "filer.lan"),
        ),
        ({"type": "nfs", "device": ":/x", "o": "addr=fd00::1"}, (":/x", "nfs", 0, "addr=fd00::1", "")),
        ({"type": "nfs", "device": ":/x", "o": "clientaddr=host"}, (":/x", "nfs", 0, "clientaddr=host", "")),
        ({"type": "ext4", "device": "/dev/x", "o": "addr=host"}, ("/dev/x", "ext4", 0, "addr=host", "")),
        ({"type": "cifs", "device": "//filer/x", "o": "guest"}, ("//filer/x", "cifs", 0, "guest", "filer")),
        ({"type": "cifs", "device": "//10.0.0.1/x", "o": "guest"}, ("//10.0.0.1/x", "cifs", 0, "guest", "")),
        ({"type": "cifs", "device": "//filer/x", "o": "addr=nas"}, ("//filer/x", "cifs", 0, "addr=nas", "nas")),
        ({"type": "none", "device": "/d", "o": "bind,shared"}, ("/d", "none", mount.MS_BIND | mount.MS_SHARED, "", "")),
    ],
)
def test_options_become_one_mount(words, plan):
    assert tuple(options.plan(words)) == plan


def test_only_the_server_s_own_address_is_replaced():
    plan = options.plan({"type": "nfs", "device": ":/x", "o": "clientaddr=filer,addr=filer,mountaddr=filer"})

    assert plan.resolved("10.1.2.3").data == "clientaddr=filer,addr=10.1.2.3,mountaddr=filer"
    assert plan.resolved("10.1.2.3").address == ""


def test_a_share_s_host_is_looked_up_where_no_address_is_given():
    plan = options.plan({"type": "cifs", "device": "//filer/x/filer", "o": "guest"})

    assert plan.resolved("10.1.2.3").source == "//10.1.2.3/x/filer"
    assert plan.resolved("fd00::1").source == "//[fd00::1]/x/filer"


def test_a_port_has_no_place_in_a_share_s_name():
    with pytest.raises(InvalidArgument, match="port not allowed in CIFS device URL, include 'port' in 'o='"):
        options.check("v", {"type": "cifs", "device": "//filer:445/x", "o": "guest"})


def test_a_failure_is_told_in_dockers_words_without_the_password():
    plan = options.plan({"type": "cifs", "device": "//s/x", "o": "username=u,password=hunter2,ro"})

    assert options.failure(plan, "/v/_data", "no such device") == (
        "error while mounting volume '/v/_data': failed to mount local volume: mount //s/x:/v/_data, flags: 0x1, "
        "data: username=u,password=********: no such device"
    )


def test_a_host_of_both_families_is_reached_by_ipv4():
    assert resolve_host("localhost") == "127.0.0.1"
    assert resolve_host("::1") == "::1"
