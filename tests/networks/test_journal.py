# SPDX-License-Identifier: Apache-2.0
from holdfast.networks.journal import Journal, Sandbox
from holdfast.networks.values import BoundPort, Endpoint

ENDPOINT = Endpoint(endpoint_id="e", network_id="n", network_name="bridge", driver="bridge", ip_address="172.17.0.2")
PORT = BoundPort(container_port=80, protocol="tcp", host_ip="0.0.0.0", host_port=8080)
SANDBOX = Sandbox(sandbox_id="s", container_id="c", name="web", netns_path="/n", endpoints=(ENDPOINT,), ports=(PORT,))


def test_record_reads_back_and_goes(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.write(SANDBOX)

    assert Journal(tmp_path / "j").load() == ([SANDBOX], [])
    journal.remove("c")
    journal.remove("c")
    assert journal.load() == ([], [])


def test_damaged_record_is_named_and_hides_no_other(tmp_path):
    journal = Journal(tmp_path)
    journal.write(SANDBOX)
    (tmp_path / "bad.json").write_bytes(b'{"sandbox_id": 1}')
    (tmp_path / "half").write_bytes(b"{")

    assert journal.load() == ([SANDBOX], ["bad"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json"]
