# SPDX-License-Identifier: Apache-2.0
import pytest

from holdfast import errors
from holdfast.networks import hosts


def test_file_names_localhost_extra_hosts_and_the_container():
    text = hosts.render_hosts([("172.17.0.3", "foo.bar.com foo")], [("1.2.3.4", "a")])

    assert text.startswith("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
    assert text.endswith("1.2.3.4\ta\n172.17.0.3\tfoo.bar.com foo\n")


def test_a_container_without_ipv6_has_no_names_of_it():
    assert hosts.render_hosts([("172.17.0.3", "foo")], [], ipv6=False) == "127.0.0.1\tlocalhost\n172.17.0.3\tfoo\n"


@pytest.mark.parametrize(
    ("hostname", "domainname", "names"),
    [("foo", "", "foo"), ("foo", "bar.com", "foo.bar.com foo"), ("foo.bar.com", "", "foo.bar.com foo")],
)
def test_full_name_comes_first(hostname, domainname, names):
    assert hosts.host_names(hostname, domainname) == names


def test_extra_hosts_take_both_separators_ipv6_and_the_gateway():
    entries = ["a:1.2.3.4", "b=5.6.7.8", "six:::1", "six2=[fe80::1]", "up:host-gateway"]

    assert hosts.parse_extra_hosts(entries, ["172.17.0.1", "fd00::1"]) == [
        ("1.2.3.4", "a"),
        ("5.6.7.8", "b"),
        ("::1", "six"),
        ("fe80::1", "six2"),
        ("172.17.0.1", "up"),
        ("fd00::1", "up"),
    ]


@pytest.mark.parametrize("entry", ["", "name", ":1.2.3.4", "name:"])
def test_malformed_extra_host_is_named(entry):
    with pytest.raises(errors.InvalidArgument, match="bad format for add-host"):
        hosts.parse_extra_hosts([entry], [])


def test_gateway_that_nobody_knows_is_refused():
    with pytest.raises(errors.InvalidArgument, match="host-gateway"):
        hosts.parse_extra_hosts(["up:host-gateway"], [])


def test_hosts_own_file_is_extended():
    assert hosts.extend_host_file("127.0.0.1 localhost", [("1.2.3.4", "a")]) == "127.0.0.1 localhost\n1.2.3.4\ta\n"


def test_living_containers_lines_are_exchanged_and_all_else_stays():
    text = "127.0.0.1\tlocalhost\n10.0.0.2\tbox\n9.9.9.9\tmine\n"

    changed = hosts.exchange_lines(text, [("10.0.0.2", "box")], [("10.1.0.2", "box"), ("fd00::2", "box")])

    assert changed == "127.0.0.1\tlocalhost\n9.9.9.9\tmine\n10.1.0.2\tbox\nfd00::2\tbox\n"
    assert hosts.exchange_lines(changed, [("10.1.0.2", "box")], [("10.1.0.2", "box")]) == changed
