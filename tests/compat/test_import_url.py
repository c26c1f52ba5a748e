# SPDX-License-Identifier: Apache-2.0
"""`docker import URL` on both, from a web server on each one's loopback."""

import subprocess
from pathlib import Path

from compat_case import Case, Daemon, compare

SCRIPT = """
mkdir -p web/rootfs/etc; echo hi > web/rootfs/etc/hello; tar -C web/rootfs -cf web/root.tar .; gzip -k web/root.tar
python3 -u -m http.server --bind 127.0.0.1 -d web 0 > port 2> /dev/null & server=$!
while ! grep -q Serving port; do sleep .05; done
port=$(sed 's/.*port \\([0-9]*\\) .*/\\1/' port)
for archive in root.tar root.tar.gz; do
    docker import http://127.0.0.1:$port/$archive imported:$archive | tail -1 | tr -d '\\n' | wc -c
    docker image inspect -f '{{len .RootFS.Layers}} {{.Os}}' imported:$archive
    docker create --name from-url imported:$archive x > /dev/null; docker cp from-url:/etc/hello - | tar -xO; docker rm from-url
    docker rmi -f imported:$archive > /dev/null
done
kill $server; wait $server 2> /dev/null
docker import http://127.0.0.1:1/nothing 2> err; echo $?; grep -c refused err
docker images -q imported
"""


def test_an_archive_is_imported_from_a_url(dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    compare(Case("import-url", SCRIPT), dockerd, holdfastd, tmp_path)


def test_what_cannot_be_imported_is_told_with_its_address(holdfastd: Daemon, tmp_path: Path) -> None:
    def said(url: str) -> str:
        done: subprocess.CompletedProcess[str] = holdfastd.sh(
            f'curl -s --unix-socket {holdfastd.socket} -X POST "http://d/images/create?fromSrc={url}"', folder=tmp_path
        )
        return done.stdout

    assert "it must be an http or https URL" in said("file:///etc/passwd")
    assert "it must be an http or https URL" in said("ftp://127.0.0.1/x")
    assert "127.0.0.1:1/x" in said("http://127.0.0.1:1/x")
    assert "one of fromImage and fromSrc" in said("")
