# SPDX-License-Identifier: Apache-2.0
"""`--change`: one Dockerfile instruction each."""

import pytest

from holdfast.errors import InvalidArgument
from holdfast.images.changes import apply_changes
from holdfast.oci.image import Healthcheck, RunConfig


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('CMD ["a", "b"]', RunConfig(cmd=("a", "b"))),
        ("cmd a b", RunConfig(cmd=("/bin/sh", "-c", "a b"))),
        ('ENTRYPOINT ["/x"]', RunConfig(entrypoint=("/x",))),
        ("ENV A=1 B='2 3'", RunConfig(env=("A=1", "B=2 3"))),
        ("ENV A the rest", RunConfig(env=("A=the rest",))),
        (
            "EXPOSE 80 53/udp 1000-1001",
            RunConfig(exposed_ports={p: {} for p in ("80/tcp", "53/udp", "1000/tcp", "1001/tcp")}),
        ),
        ("LABEL a=b c=d", RunConfig(labels={"a": "b", "c": "d"})),
        ("USER 1000:1000", RunConfig(user="1000:1000")),
        ('VOLUME ["/a", "/b"]', RunConfig(volumes={"/a": {}, "/b": {}})),
        ("VOLUME /a /b", RunConfig(volumes={"/a": {}, "/b": {}})),
        ("WORKDIR /a/../b", RunConfig(working_dir="/b")),
        ("WORKDIR rel", RunConfig(working_dir="/rel")),
        ("STOPSIGNAL SIGINT", RunConfig(stop_signal="SIGINT")),
        ("ONBUILD RUN x", RunConfig(on_build=("RUN x",))),
        ("HEALTHCHECK NONE", RunConfig(healthcheck=Healthcheck(test=("NONE",)))),
        (
            "HEALTHCHECK --interval=1m30s --retries=2 CMD curl x",
            RunConfig(healthcheck=Healthcheck(test=("CMD-SHELL", "curl x"), interval=90 * 10**9, retries=2)),
        ),
        ("ENV A=1 \\\n B=2", RunConfig(env=("A=1", "B=2"))),
        ("# why\nENV A=1\n\nUSER $A", RunConfig(env=("A=1",), user="1")),
        ('LABEL "a b"="c d" e=\\"', RunConfig(labels={"a b": "c d", "e": '"'})),
        ("EXPOSE $NONE", RunConfig()),
        ('HEALTHCHECK CMD ["a"]', RunConfig(healthcheck=Healthcheck(test=("CMD", "a")))),
    ],
)
def test_each_instruction(line: str, expected: RunConfig) -> None:
    assert apply_changes(RunConfig(), [line]) == expected


def test_changes_add_up() -> None:
    start = RunConfig(env=("A=1", "B=1"), labels={"x": "1"})

    assert apply_changes(start, ["ENV A=2", "LABEL y=2"]) == RunConfig(env=("A=2", "B=1"), labels={"x": "1", "y": "2"})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "RUN x",
        "FROM x",
        "nonsense",
        "ENV",
        "ENV A",
        "ENV A=1 B",
        "ENV A='",
        "EXPOSE",
        "EXPOSE x",
        "EXPOSE 0",
        "EXPOSE 70000",
        "EXPOSE 5-4",
        "USER",
        "VOLUME",
        'VOLUME [""]',
        "WORKDIR",
        "ONBUILD ONBUILD x",
        "HEALTHCHECK --interval=x CMD y",
        "HEALTHCHECK CMD",
        "HEALTHCHECK --bogus=1 CMD y",
        "HEALTHCHECK --retries=-1 CMD y",
    ],
)
def test_what_is_not_allowed_is_refused(line: str) -> None:
    with pytest.raises(InvalidArgument):
        apply_changes(RunConfig(), [line])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("$PATH:/x", "/bin:/x"),
        ("${PATH}x", "/binx"),
        ('"$PATH x"', "/bin x"),
        ("'$PATH'", "$PATH"),
        ("\\$PATH", "$PATH"),
        ("$NONE", ""),
        ("${NONE:-a}", "a"),
        ("${PATH:-a}", "/bin"),
        ("${PATH:+a}", "a"),
        ("${NONE:+a}", ""),
        ("${NONE:-$PATH}", "/bin"),
        ("5$", "5$"),
    ],
)
def test_variables_have_the_values_of_the_environment(value: str, expected: str) -> None:
    start = RunConfig(env=("PATH=/bin",))

    changed = apply_changes(start, [f"ENV A={value}", f"LABEL a={value}"])

    assert (changed.env, changed.labels) == (("PATH=/bin", f"A={expected}"), {"a": expected})


def test_variables_of_one_instruction_have_the_values_from_before_it() -> None:
    assert apply_changes(RunConfig(env=("A=1",)), ["ENV A=2 B=$A"]).env == ("A=2", "B=1")


def test_commands_keep_their_variables() -> None:
    start = RunConfig(env=("A=1",))

    assert apply_changes(start, ["CMD echo $A", "ONBUILD RUN $A"]).cmd == ("/bin/sh", "-c", "echo $A")
