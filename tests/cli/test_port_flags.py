# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import errors
from holdfast.cli import port_flags


def test_a_container_port_alone_gets_any_host_port() -> None:
    assert port_flags.parse(["80"], []) == (["80/tcp"], {"80/tcp": [{"HostIp": "", "HostPort": ""}]})


def test_ranges_of_equal_length_pair_up() -> None:
    ports, bindings = port_flags.parse(["127.0.0.1:9000-9001:90-91/udp"], [])

    assert ports == ["90/udp", "91/udp"]
    assert bindings["91/udp"] == [{"HostIp": "127.0.0.1", "HostPort": "9001"}]


@pytest.mark.parametrize("spec", ["99999", "x", "1:2:3:4", "80/nope", ":", "8000-8001:90-95", "9-8:9-8"])
def test_a_wrong_port_is_refused(spec: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        port_flags.parse([spec], [])


@given(st.text(alphabet="0123456789:-./[]tcpudx", max_size=20))
def test_no_text_breaks_the_port_reader(spec: str) -> None:
    try:
        port_flags.parse([spec], [])
    except errors.InvalidArgument:
        pass
