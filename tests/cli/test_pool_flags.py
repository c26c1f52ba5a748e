# SPDX-License-Identifier: Apache-2.0
import pytest

from holdfast import errors
from holdfast.cli import pool_flags


def test_everything_goes_to_the_subnet_that_it_lies_in():
    pools = pool_flags.parse(
        ["10.1.0.0/16", "fd00::/64"], ["10.1.5.0/24"], ["fd00::9", "10.1.0.9"], ["a=10.1.0.7", "b=fd00::7"]
    )

    assert pools == [
        {
            "Subnet": "10.1.0.0/16",
            "IPRange": "10.1.5.0/24",
            "Gateway": "10.1.0.9",
            "AuxiliaryAddresses": {"a": "10.1.0.7"},
        },
        {"Subnet": "fd00::/64", "Gateway": "fd00::9", "AuxiliaryAddresses": {"b": "fd00::7"}},
    ]


@pytest.mark.parametrize(
    ("subnets", "ranges", "gateways", "auxiliary", "refusal"),
    [
        ([], [], ["10.1.0.1"], [], "every ip-range or gateway must have a corresponding subnet"),
        (["10.1.0.0/16", "10.1.2.0/24"], [], [], [], "multiple overlapping subnet configuration is not supported"),
        (["10.1.0.0/16"], ["10.2.0.0/24"], [], [], "no matching subnet for range 10.2.0.0/24"),
        (["10.1.0.0/16"], [], ["10.2.0.1"], [], "no matching subnet for gateway 10.2.0.1"),
        (["10.1.0.0/16"], [], [], ["a=10.2.0.1"], "no matching subnet for aux-address 10.2.0.1"),
        (["10.1.0.0/16", "10.2.0.0/16"], [], ["10.1.0.1", "10.1.0.2"], [], "cannot configure multiple gateways"),
        (["10.1.0.0/16", "10.2.0.0/16"], ["10.1.0.0/24", "10.1.1.0/24"], [], [], "cannot configure multiple ranges"),
    ],
)
def test_what_lies_nowhere_is_refused(subnets, ranges, gateways, auxiliary, refusal):
    with pytest.raises(errors.InvalidArgument, match=refusal):
        pool_flags.parse(subnets, ranges, gateways, auxiliary)


def test_bad_subnet_is_left_to_the_daemon():
    assert pool_flags.parse(["foo"], [], [], []) == [{"Subnet": "foo"}]
