# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from holdfast.daemon import address_pools, config
from holdfast.errors import InvalidArgument


def test_pools_of_flag_and_file_are_the_same(tmp_path):
    pools = [{"base": "10.9.0.0/16", "size": 24}, {"base": "fd00:9::/48", "size": 64}]
    (tmp_path / "daemon.json").write_text(json.dumps({"default-address-pools": pools}))

    from_file, _ = config.load(["--config-file", str(tmp_path / "daemon.json")])
    from_flags, _ = config.load(
        [part for pool in pools for part in ("--default-address-pool", f"base={pool['base']},size={pool['size']}")]
    )

    assert from_file.default_address_pools == (("10.9.0.0/16", 24), ("fd00:9::/48", 64))
    assert from_flags.default_address_pools == from_file.default_address_pools
    assert config.load([])[0].default_address_pools == ()


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
def test_bad_pool_refuses_the_start(text):
    with pytest.raises(InvalidArgument, match="invalid default address pool"):
        address_pools.parse([text])
