# SPDX-License-Identifier: Apache-2.0
import pytest

from holdfast.containers.config import Config, EndpointIPAM, EndpointSettings, HostConfig
from holdfast.engine import endpoint_wishes
from holdfast.errors import InvalidArgument

MAC = "02:11:22:33:44:55"


def wished(mode, given=None, check=lambda wish: None, **config):
    return endpoint_wishes.of_container(Config(**config), HostConfig(network_mode=mode), given or {}, check)


def test_networks_before_the_first_start():
    named = EndpointSettings(aliases=["a"], endpoint_id="stale", ip_address="10.0.0.1")

    assert list(wished("bridge")) == ["bridge"]
    assert list(wished("bridge", {"default": named})) == ["bridge"]
    assert wished("container:x", {"bridge": named}) == {}
    assert list(wished("n", {"o": EndpointSettings()})) == ["n", "o"]
    assert list(wished("n", {"o": EndpointSettings(), "n": named})) == ["n", "o"]
    assert list(wished("bridge", {"o": EndpointSettings()})) == ["o"]
    assert wished("n", {"n": named})["n"] == EndpointSettings(aliases=["a"])


def test_wish_that_cannot_be_names_its_network():
    def refuse(wish):
        raise InvalidArgument(f"no {wish.network}")

    with pytest.raises(InvalidArgument, match="invalid config for network bridge: no bridge"):
        wished("bridge", check=refuse)


def test_mac_of_the_container_is_that_of_its_main_network():
    assert wished("n", mac_address=MAC)["n"].desired_mac == MAC
    with pytest.raises(InvalidArgument, match="container-wide MAC address must match"):
        wished("n", {"n": EndpointSettings(mac_address="02:00:00:00:00:01")}, mac_address=MAC)


def test_settings_in_the_network_packages_words():
    settings = EndpointSettings(
        ipam_config=EndpointIPAM(ipv4_address="10.0.0.9", ipv6_address="fd00::9", link_local_ips=["169.254.1.1"]),
        links=["/db:store", "cache"],
        aliases=["a"],
        driver_opts={"k": "v"},
        gw_priority=3,
        desired_mac=MAC,
    )

    wish = endpoint_wishes.of_settings("n", settings, HostConfig(links=["web:front"], network_mode="n"))

    assert (wish.ip_address, wish.ipv6_address, wish.link_local_addresses) == ("10.0.0.9", "fd00::9", ("169.254.1.1",))
    assert wish.links == (("store", "db"), ("cache", "cache"), ("front", "web"))
    assert (wish.aliases, wish.driver_options, wish.gateway_priority, wish.mac) == (("a",), (("k", "v"),), 3, MAC)
    for name in ("bridge", "m"):
        host = HostConfig(links=["web:front"], network_mode="bridge" if name == "bridge" else "n")
        assert endpoint_wishes.of_settings(name, EndpointSettings(), host).links == ()


def test_network_is_found_under_name_id_or_part_of_it():
    assert endpoint_wishes.key_for("n", "abcdef", ["n", "abc"]) == "n"
    assert endpoint_wishes.key_for("n", "abcdef", ["abc"]) == "abc"
    assert endpoint_wishes.key_for("n", "abcdef", ["other", ""]) is None
