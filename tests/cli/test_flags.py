# SPDX-License-Identifier: Apache-2.0
import pytest

from holdfast import errors
from holdfast.cli.flags import Command, Flag, parse

FLAGS = (
    Flag("rm", "", "bool"),
    Flag("interactive", "i", "bool"),
    Flag("tty", "t", "bool"),
    Flag("env", "e", "list"),
    Flag("name"),
    Flag("tail", "n", "int"),
)


def test_options_end_at_the_first_argument_when_not_interspersed() -> None:
    values, arguments = parse(FLAGS, ["-i", "busybox", "ls", "-t", "--rm"], interspersed=False)

    assert values["interactive"]
    assert not values["tty"]
    assert arguments == ["busybox", "ls", "-t", "--rm"]


def test_options_may_follow_arguments_when_interspersed() -> None:
    values, arguments = parse(FLAGS, ["one", "--rm", "two"])

    assert values["rm"]
    assert arguments == ["one", "two"]


@pytest.mark.parametrize("word", ["--rm=false", "--rm=0", "--rm=F"])
def test_a_bool_can_be_given_as_false(word: str) -> None:
    values, _ = parse(FLAGS, [word])

    assert values["rm"] is False
    assert values.was_set("rm")


def test_a_cluster_applies_its_value_to_its_last_letter() -> None:
    values, _ = parse(FLAGS, ["-it=false"])

    assert values["interactive"] is True
    assert values["tty"] is False


@pytest.mark.parametrize("words", [["-e", "A=1"], ["-eA=1"], ["-e=A=1"], ["--env", "A=1"], ["--env=A=1"], ["-ieA=1"]])
def test_every_spelling_of_a_list_flag_is_read(words: list[str]) -> None:
    values, arguments = parse(FLAGS, words)

    assert values["env"] == ["A=1"]
    assert arguments == []


def test_a_double_dash_before_the_image_is_swallowed_and_one_after_it_is_kept() -> None:
    _, before = parse(FLAGS, ["--", "busybox", "--rm"], interspersed=False)
    _, after = parse(FLAGS, ["busybox", "--", "ls"], interspersed=False)

    assert before == ["busybox", "--rm"]
    assert after == ["busybox", "--", "ls"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["-ix"], "unknown shorthand flag: 'x' in -ix"),
        (["--name"], "flag needs an argument: --name"),
        (["-e"], "flag needs an argument: 'e' in -e"),
        (["--=x"], "bad flag syntax: --=x"),
        (["-n", "x"], 'invalid argument "x" for "-n, --tail" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (
            ["--rm=maybe"],
            'invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
    ],
)
def test_errors_have_the_words_of_pflag(words: list[str], text: str) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        parse(FLAGS, words)

    assert caught.value.message == text


@pytest.mark.parametrize(
    ("minimum", "maximum", "count", "text"),
    [
        (1, None, 0, "'hold x' requires at least 1 argument"),
        (2, 2, 1, "'hold x' requires 2 arguments"),
        (0, 0, 1, "'hold x' accepts no arguments"),
        (0, 1, 2, "'hold x' requires at most 1 argument"),
        (1, 2, 3, "'hold x' requires at least 1 and at most 2 arguments"),
    ],
)
def test_argument_counts_are_checked(minimum: int, maximum: int | None, count: int, text: str) -> None:
    command = Command("x", "x", "does x", lambda *_: 0, minimum=minimum, maximum=maximum)

    with pytest.raises(errors.InvalidArgument) as caught:
        command.check_count(["a"] * count)

    assert caught.value.message == text
