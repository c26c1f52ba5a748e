# SPDX-License-Identifier: Apache-2.0
"""The tables of iptables-legacy as this kernel gives them, beside what the program itself shows; a kernel without fails."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.kernel import xtables
from holdfast.kernel.syscalls import UNSHARE, call

NEWNET = 0x40000000


@pytest.fixture(params=["ip", "ip6"])
def family(request):
    return request.param


def in_new_netns(function):
    """Runs it in a thread that has a network namespace of its own."""

    def run():
        call(UNSHARE, NEWNET)
        return function()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def legacy(family, *rules):
    for rule in rules:
        subprocess.run([f"{family}tables-legacy", *rule.split()], check=True)


def chains_of(table):
    return {name: table.chain(name) for name in table.names()}


def test_a_table_that_nobody_uses_stays_unused(family):
    def run():
        return xtables.read(family), xtables.has_table(family)

    assert in_new_netns(run) == (None, False)


def test_chains_are_those_that_the_program_shows(family):
    source = "192.0.2.1" if family == "ip" else "2001:db8::1"

    def run():
        legacy(
            family,
            "-P FORWARD DROP",
            "-N theirs",
            "-N empty",
            "-A theirs -m comment --comment why -j REJECT",
            "-A theirs -j RETURN",
            "-A FORWARD -i eth0 -j ACCEPT",
            f"-A FORWARD -s {source} -j DROP",
            "-A FORWARD -o eth+ -p tcp --dport 80 -j theirs",
            "-A FORWARD -g theirs",
            "-A FORWARD -j LOG",
            "-A FORWARD ! -i lo -j DROP",
        )
        return chains_of(xtables.read(family))

    chains = in_new_netns(run)

    assert chains == {
        "INPUT": xtables.Chain("ACCEPT", ()),
        "OUTPUT": xtables.Chain("ACCEPT", ()),
        "FORWARD": xtables.Chain(
            "DROP",
            (
                xtables.Rule("ACCEPT", is_bare=True, in_interface="eth0"),
                xtables.Rule("DROP", is_bare=False),
                xtables.Rule("theirs", is_bare=False, out_interface="eth+"),
                xtables.Rule("theirs", is_bare=True),
                xtables.Rule("LOG", is_bare=True),
                xtables.Rule("DROP", is_bare=False, in_interface="lo"),
            ),
        ),
        "theirs": xtables.Chain("", (xtables.Rule("REJECT", is_bare=True), xtables.Rule("RETURN", is_bare=True))),
        "empty": xtables.Chain("", ()),
    }


def test_a_change_happens_whole_or_not_at_all(family):
    def run():
        xtables.change(family, "filter", [":ours - [0:0]", "-A ours -i a -j ACCEPT", "-I FORWARD 1 -j ours"])
        with pytest.raises(OSError, match="nosuch"):
            xtables.change(family, "filter", [":other - [0:0]", "-A FORWARD -j nosuch"])
        return chains_of(xtables.read(family))

    chains = in_new_netns(run)

    assert chains["FORWARD"].rules == (xtables.Rule("ours", is_bare=True),)
    assert chains["ours"].rules == (xtables.Rule("ACCEPT", is_bare=True, in_interface="a"),)
    assert "other" not in chains


def test_a_chain_of_many_rules_is_read_in_no_time():
    def run():
        xtables.change("ip", "filter", [f"-A INPUT -s 10.0.{n // 250}.{n % 250} -j DROP" for n in range(5000)])
        began = time.process_time()
        chain = xtables.read("ip").chain("FORWARD")
        return chain, time.process_time() - began

    chain, seconds = in_new_netns(run)

    assert chain == xtables.Chain("ACCEPT", ())
    assert seconds < 0.1
