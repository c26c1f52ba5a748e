# SPDX-License-Identifier: Apache-2.0
"""Device rules: folding, v1 lines, and the BPF program run by a small interpreter against the v1 controller's meaning."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import InvalidArgument
from holdfast.runtime import defaults
from holdfast.runtime.cgroups import device_rules
from holdfast.runtime.cgroups.v1 import devices as v1_devices
from holdfast.runtime.cgroups.v2 import devices as v2_devices

DENY_ALL = {"allow": False, "access": "rwm"}
ALLOW_ALL = {"allow": True, "type": "a", "access": "rwm"}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_KINDS = {"b": 1, "c": 2}


def default_rules() -> list[dict[str, object]]:
    return [
        {"allow": allow, "type": kind, "major": major, "minor": minor, "access": access}
        for allow, kind, major, minor, access in defaults.DEVICE_RULES
    ]


def run_bpf(program: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """Interprets the few instructions that the assembler uses."""
    wanted = sum(_ACCESS[letter] for letter in access)
    context = struct.pack("<III", wanted << 16 | _KINDS[kind], major, minor)
    code = list(struct.iter_unpack("<BBhI", program))
    registers = {1: 0}
    place = 0
    while True:
        operation, both, offset, immediate = code[place]
        target, source = both & 15, both >> 4
        place += 1
        match operation:
            case 0x61:
                registers[target] = struct.unpack_from("<I", context, offset)[0]
            case 0xBC:
                registers[target] = registers[source]
            case 0xB7:
                registers[target] = immediate
            case 0x54:
                registers[target] &= immediate
            case 0x74:
                registers[target] >>= immediate
            case 0x56:
                place += offset if registers[target] != immediate else 0
            case 0x16:
                place += offset if registers[target] == immediate else 0
            case 0x95:
                return bool(registers[0])
            case _:
                raise AssertionError(f"operation {operation:#x}")


def as_v1_decides(rules: list[dict], kind: str, major: int, minor: int, access: str) -> bool:
    """security/device_cgroup.c, by its description: behaviour and a list of exceptions."""
    default, exceptions = True, {}
    for rule in rules:
        if rule["type"] == "a":
            default, exceptions = rule["allow"], {}
            continue
        key = (rule["type"], rule["major"], rule["minor"])
        held = exceptions.get(key, set())
        changed = held | set(rule["access"]) if rule["allow"] != default else held - set(rule["access"])
        exceptions[key] = changed
    fitting = [
        held
        for (k, ma, mi), held in exceptions.items()
        if k == kind and ma in (-1, None, major) and mi in (-1, None, minor)
    ]
    if default:
        return not any(held & set(access) for held in fitting)
    return any(set(access) <= held for held in fitting)


def test_v1_lines_of_the_default_rules() -> None:
    writes = v1_devices.plan({"devices": default_rules()})

    assert writes[0] == ("devices.deny", "a")
    assert {value for _, value in writes[1:]} == {
        *("c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm"),
        *("c 5:1 rwm", "c 5:2 rwm", "c 10:200 rwm", "c 136:* rwm"),
    }
    assert {file for file, _ in writes[1:]} == {"devices.allow"}


def test_without_rules_nothing_is_written() -> None:
    assert v1_devices.plan({}) == []
    assert v2_devices.plan({"devices": []}) is None


def test_privileged_allows_everything_without_a_program() -> None:
    assert v1_devices.plan({"devices": [ALLOW_ALL]}) == [("devices.allow", "a")]
    assert v2_devices.plan({"devices": [ALLOW_ALL]}) is None


@pytest.mark.parametrize(
    ("device", "allowed"),
    [
        (("c", 1, 3, "rw"), True),
        (("c", 1, 3, "rwm"), True),
        (("c", 1, 11, "r"), False),
        (("c", 1, 11, "m"), True),
        (("c", 136, 7, "rw"), True),
        (("c", 10, 229, "rw"), False),
        (("b", 254, 0, "m"), True),
        (("b", 254, 0, "r"), False),
        (("b", 1, 3, "rw"), False),
    ],
)
def test_the_default_program(device: tuple[str, int, int, str], allowed: bool) -> None:
    program = v2_devices.plan({"devices": default_rules()})

    assert program is not None
    assert run_bpf(program, *device) is allowed


_NUMBERS = st.sampled_from([-1, 0, 1, 3, 2**32 - 1])
_SETS = st.sampled_from(["r", "w", "m", "rw", "rm", "wm", "rwm"])
_RULES = st.lists(
    st.fixed_dictionaries(
        {
            "allow": st.booleans(),
            "type": st.sampled_from(["b", "c", "c"]),
            "major": _NUMBERS,
            "minor": _NUMBERS,
            "access": _SETS,
        }
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(
    starts_closed=st.booleans(),
    rules=_RULES,
    device=st.tuples(st.sampled_from(["b", "c"]), st.sampled_from([0, 1, 3, 9]), st.sampled_from([0, 1, 3, 9]), _SETS),
)
def test_the_program_decides_as_the_v1_controller_does(
    starts_closed: bool, rules: list[dict], device: tuple[str, int, int, str]
) -> None:
    rules = [{"allow": not starts_closed, "type": "a", "access": "rwm", "major": -1, "minor": -1}, *rules]

    program = v2_devices.assemble(device_rules.fold(rules))

    assert run_bpf(program, *device) == as_v1_decides(rules, *device)


@pytest.mark.parametrize(
    "rule",
    [
        {"allow": True, "type": "x", "access": "r"},
        {"allow": True, "type": "p", "access": "r"},
        {"allow": True, "type": "c", "access": "rx"},
        {"allow": True, "type": "c", "major": 2**32, "access": "r"},
        {"allow": True, "type": "c", "major": "1", "access": "r"},
    ],
)
def test_a_wrong_rule_is_refused(rule: dict) -> None:
    with pytest.raises(InvalidArgument):
        device_rules.fold([rule])
