# SPDX-License-Identifier: Apache-2.0
"""The ORAS project's own client at a registry (argv[1]): artifacts in one piece and in chunks, referrers, tags, deletion.

Run in the registry's network namespace and in an empty directory; prints what it saw as JSON.
"""

import json
import sys
from pathlib import Path

import oras.client
from oras.container import Container

at = sys.argv[1]
client = oras.client.OrasClient(hostname=at, insecure=True)
small, large = Path("small.txt"), Path("large.bin")
small.write_text("an artifact\n")
large.write_bytes(bytes(range(256)) * 20_000)

client.push(target=f"{at}/oras/things:v1", files=[str(small)], manifest_annotations={"made": "here"}, quiet=True)
pushed = client.push(target=f"{at}/oras/things:v2", files=[str(large)], do_chunked=True, chunk_size=1 << 20, quiet=True)
digest = pushed.headers["Docker-Content-Digest"]
pulled = {tag: client.pull(target=f"{at}/oras/things:{tag}", outdir=f"out-{tag}") for tag in ("v1", "v2")}
manifest = client.get_manifest(Container(f"{at}/oras/things:v1"))
missing = client.blob_exists(
    {"digest": "sha256:" + "0" * 64, "size": 1, "mediaType": ""}, Container(f"{at}/oras/things")
)
print(
    json.dumps(
        {
            "tags": sorted(client.get_tags(f"{at}/oras/things")),
            "same": [
                Path(*each).read_bytes() == source.read_bytes()
                for each, source in zip(pulled.values(), (small, large), strict=True)
            ],
            "annotations": manifest["annotations"],
            "digest": digest,
            "missing": missing,
            "deleted": client.delete_tag(f"{at}/oras/things", "v1"),
            "left": client.get_tags(f"{at}/oras/things"),
        }
    )
)
