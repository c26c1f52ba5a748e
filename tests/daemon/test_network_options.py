# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from holdfast.daemon import config
from holdfast.errors import InvalidArgument


def read(arguments, tmp_path, document=None):
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps(document or {}))
    return config.load([*arguments, "--config-file", str(path)])[0]


POOLS = [{"base": "10.9.0.0/16", "size": 24}, {"base": "fd00:9::/48", "size": 64}]


def test_address_pools_of_flag_and_file_are_the_same(tmp_path):
    flags = [part for each in POOLS for part in ("--default-address-pool", f"base={each['base']},size={each['size']}")]

    assert read(flags, tmp_path).default_address_pools == (("10.9.0.0/16", 24), ("fd00:9::/48", 64))
    in_file = read([], tmp_path, {"default-address-pools": POOLS})
    assert in_file.default_address_pools == (("10.9.0.0/16", 24), ("fd00:9::/48", 64))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "base=10.0.0.0/16",
        "size=24",
        "base=foo,size=24",
        "base=10.0.0.0/16,size=8",
        "base=10.0.0.0/16,size=32",
        "base=10.0.0.1/16,size=24",
        "base=10.0.0.0/16,size=24,x=1",
    ],
)
def test_bad_pool_refuses_the_start(text, tmp_path):
    with pytest.raises(InvalidArgument, match="invalid default address pool"):
        read(["--default-address-pool", text], tmp_path)


def test_fixed_range_lies_in_the_bridges_subnet(tmp_path):
    assert read(["--bip", "10.1.0.1/16", "--fixed-cidr", "10.1.2.0/24"], tmp_path).fixed_cidr == "10.1.2.0/24"
    with pytest.raises(InvalidArgument, match="invalid fixed-cidr"):
        read(["--bip", "10.1.0.1/16", "--fixed-cidr", "10.2.0.0/24"], tmp_path)
    with pytest.raises(InvalidArgument, match="invalid fixed-cidr"):
        read(["--fixed-cidr", "nonsense"], tmp_path)


def test_userland_proxy_is_accepted_without_a_word(tmp_path):
    assert read(["--userland-proxy=false"], tmp_path).ignored == ()


def test_host_gateway_is_an_address(tmp_path):
    assert read(["--host-gateway-ip", "192.0.2.1"], tmp_path).host_gateway_ip == "192.0.2.1"
    with pytest.raises(InvalidArgument, match="invalid IP address: here"):
        read(["--host-gateway-ip", "here"], tmp_path)


def test_ipv6_of_the_default_bridge(tmp_path):
    given = {
        "ipv6": True,
        "fixed-cidr-v6": "2001:db8:1::/64",
        "default-gateway-v6": "2001:db8:1::9",
        "ip6tables": False,
        "userland-proxy": False,
    }
    read_back = read([], tmp_path, given)

    assert read_back.ignored == ()
    assert (read_back.ipv6, read_back.fixed_cidr_v6) == (True, "2001:db8:1::/64")
    assert (read_back.default_gateway_v6, read_back.ip6tables, read_back.userland_proxy) == (
        "2001:db8:1::9",
        False,
        False,
    )


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--fixed-cidr-v6", "10.0.0.0/8"], "invalid fixed-cidr-v6: '10.0.0.0/8' is not a valid IPv6 subnet"),
        (["--fixed-cidr-v6", "xyz"], "invalid fixed-cidr-v6: 'xyz' is not a valid IPv6 subnet"),
        (["--bip6", "10.0.0.1/8"], "invalid bip6 10.0.0.1/8"),
        (["--bip6", "fd00:1::1/64", "--fixed-cidr-v6", "fd00:2::/80"], "it is not inside the bridge's subnet"),
        (["--default-gateway", "here"], "invalid IP address: here"),
        (["--default-gateway-v6", "there"], "invalid IP address: there"),
    ],
)
def test_what_is_wrong_with_them_is_named(flags, text, tmp_path):
    with pytest.raises(InvalidArgument) as refusal:
        read(flags, tmp_path)

    assert text in refusal.value.message


MTU = "com.docker.network.driver.mtu"


def test_options_of_new_networks_of_flag_and_file_are_the_same(tmp_path):
    flags = [
        "--default-network-opt",
        f"bridge={MTU}=1234",
        "--default-network-opt=bridge=a=b=c",
        "--default-network-opt=macvlan=x=",
    ]
    wanted = {"bridge": {MTU: "1234", "a": "b=c"}, "macvlan": {"x": ""}}

    assert read(flags, tmp_path).default_network_opts == wanted
    assert read([], tmp_path, {"default-network-opts": wanted}).default_network_opts == wanted


@pytest.mark.parametrize(
    ("flags", "document"),
    [
        (["--default-network-opt", "bridge"], {}),
        (["--default-network-opt", f"bridge={MTU}"], {}),
        (["--default-network-opt", f"={MTU}=1"], {}),
        ([], {"default-network-opts": {"bridge": "x"}}),
        ([], {"default-network-opts": {"bridge": {MTU: 1234}}}),
        ([], {"default-network-opts": []}),
    ],
)
def test_bad_options_of_new_networks_refuse_the_start(flags, document, tmp_path):
    with pytest.raises(InvalidArgument):
        read(flags, tmp_path, document)


def test_mirrors_end_with_a_slash_as_dockerd_shows_them(tmp_path):
    found = read(["--registry-mirror=http://a:5000", "--registry-mirror", "https://b/"], tmp_path)

    assert found.registry_mirrors == ("http://a:5000/", "https://b/")
