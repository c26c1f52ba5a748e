# SPDX-License-Identifier: Apache-2.0
"""There are no plugins, and clients are told so in Docker's words."""

import json

from holdfast.api.routes import plugins


async def test_no_plugin_is_listed_or_found(start):
    running = await start(plugins.routes())

    assert json.loads((await running.ask("GET", "/plugins")).body) == []
    answer = await running.ask("GET", "/plugins/some/name:tag/json")
    assert (answer.status, json.loads(answer.body)) == (404, {"message": 'plugin "some/name:tag" not found'})
