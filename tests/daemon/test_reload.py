# SPDX-License-Identifier: Apache-2.0
"""What the log says of a reload."""

import json

from holdfast.daemon import config, reload


def test_the_configuration_in_force_is_told_without_passwords():
    options, _ = config.load(["--config-file=/dev/null", "--http-proxy=http://me:secret@p:1", "--label=a=b"])

    told = json.loads(reload.shown(options))

    assert told["proxies"] == ["http://xxxxx:xxxxx@p:1", "", ""]
    assert told["labels"] == ["a=b"]
