# SPDX-License-Identifier: Apache-2.0
"""Which requests a web page may have caused."""

import socket

import pytest

from holdfast.api.http import Peer
from holdfast.api.policy import HostPolicy
from holdfast.errors import Forbidden

POLICY = HostPolicy(["build.example"])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:2375",
        "127.0.0.1",
        "[::1]:2375",
        "localhost:1",
        "api.moby.localhost",
        "BUILD.example:9",
        "",
        socket.gethostname(),
    ],
)
def test_addresses_and_own_names_are_allowed(host):
    assert POLICY.allows(host)


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[evil]", "evil:80"]
)
def test_foreign_names_are_not(host):
    assert not POLICY.allows(host)
    with pytest.raises(Forbidden, match="not a name of this daemon"):
        POLICY.check(Peer(transport="tcp"), {"host": host})


def test_an_origin_is_refused_on_every_network_socket():
    for transport in ("tcp", "tls"):
        with pytest.raises(Forbidden, match="Origin"):
            POLICY.check(Peer(transport=transport), {"host": "127.0.0.1", "origin": "null"})


def test_unix_and_tls_clients_may_use_any_host():
    POLICY.check(Peer(transport="unix"), {"host": "evil.example", "origin": "x"})
    POLICY.check(Peer(transport="tls"), {"host": "evil.example"})


def test_a_websocket_client_may_name_the_daemon_itself_as_its_origin():
    own = {"host": "127.0.0.1:2375", "origin": "http://127.0.0.1:2375", "upgrade": "websocket"}

    POLICY.check(Peer(transport="tcp"), own)
    for change in ({"origin": "http://evil.example"}, {"upgrade": ""}, {"host": "evil", "origin": "http://evil"}):
        with pytest.raises(Forbidden):
            POLICY.check(Peer(transport="tcp"), own | change)
