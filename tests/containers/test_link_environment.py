# SPDX-License-Identifier: Apache-2.0
from holdfast.containers import link_environment


def rendered(*ports, environment=()):
    return link_environment.render(
        alias="db-x", own_name="web", address="172.17.0.2", exposed=ports, environment=environment
    )


def test_ports_name_and_environment_of_the_other():
    assert rendered((80, "tcp"), environment=["A=1=2", "PATH=/bin", "HOME=/", "bare"]) == [
        "DB_X_PORT=tcp://172.17.0.2:80",
        "DB_X_PORT_80_TCP=tcp://172.17.0.2:80",
        "DB_X_PORT_80_TCP_ADDR=172.17.0.2",
        "DB_X_PORT_80_TCP_PORT=80",
        "DB_X_PORT_80_TCP_PROTO=tcp",
        "DB_X_NAME=/web/db-x",
        "DB_X_ENV_A=1=2",
    ]
    assert rendered() == ["DB_X_NAME=/web/db-x"]


def test_tcp_comes_first_and_runs_are_told_as_ranges():
    found = rendered((82, "udp"), (90, "tcp"), (81, "udp"))

    assert found[0] == "DB_X_PORT=tcp://172.17.0.2:90"
    assert "DB_X_PORT_81_UDP_START=udp://172.17.0.2:81" in found
    assert "DB_X_PORT_81_UDP_PORT_END=82" in found
    assert not any("90_TCP_START" in entry for entry in found)
