# SPDX-License-Identifier: Apache-2.0
"""Filter rules to classic BPF as a tree of number ranges: short programs that install quickly and answer in few steps.

Neighbouring system calls with one answer become one range, and a binary search over the ranges finds the answer: about
a third of the instructions of libseccomp's own binary tree, and a tenth of its time to install. Pure: numbers in,
instructions out; `runtime.seccomp` resolves names. The tests hold it against libseccomp, call by call.
Source: Documentation/userspace-api/seccomp_filter.rst; struct seccomp_data {int nr; u32 arch; u64 ip; u64 args[6];}.
"""

from __future__ import annotations

from holdfast.kernel import seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    # (argument, operator, value, second value, only the low 32 bits count)
    Comparison = tuple[int, str, int, int, bool]
    # alternatives in order, each (comparisons that must all hold, action); an empty one always holds
    Answer = tuple[tuple[tuple[Comparison, ...], int], ...]

_LOAD = 0x20
_AND = 0x54
_JUMP = 0x05
_IF_EQUAL = 0x15
_IF_GREATER = 0x25
_IF_GREATER_OR_EQUAL = 0x35
_RETURN = 0x06

_NUMBER_OFFSET = 0
_ARCH_OFFSET = 4
_ARGUMENTS_OFFSET = 16
_FURTHEST = 255
_WORD = 0xFFFFFFFF
X32_BIT = 0x40000000

# stands for "what the same number without the x32 bit gets"
AS_NATIVE: Answer = ()

# the operator, and whether its two outcomes are swapped
_NEGATED = {"NE": ("EQ", True), "LT": ("GE", True), "LE": ("GT", True)}


class Architecture:
    """The answers for one AUDIT_ARCH word: {number: answer}, and the `ceilings` [(first, action)] that fill the gaps.

    A ceiling's action holds from its first number up to the next ceiling, wherever `answers` has nothing. `twin` is for
    x86_64 with x32, whose calls are the same numbers with bit 30 set: the answers in which x32 differs; None without x32.
    """

    __slots__ = ("answers", "audit", "ceilings", "twin")

    def __init__(
        self,
        audit: int,
        answers: Mapping[int, Answer],
        ceilings: Sequence[tuple[int, int]],
        twin: Mapping[int, Answer] | None = None,
    ) -> None:
        self.audit = audit
        self.answers = answers
        self.ceilings = ceilings
        self.twin = twin


def assemble(architectures: Sequence[Architecture], foreign_action: int) -> bytes:
    """The whole program; calls of an architecture that is not listed get `foreign_action`."""
    code = _Code()
    entry = code.answer((((), foreign_action),))
    for each in reversed(architectures):
        filling = [(first, _always(action)) for first, action in each.ceilings]
        ranges = plan_ranges(each.answers, filling)
        root = code.search(ranges, 0, len(ranges))
        if each.twin is not None:
            code.set_native(root)
            ranges = plan_ranges(each.twin, [(0, AS_NATIVE)])
            differing = code.search(ranges, 0, len(ranges))
            stripped = code.emit(_AND, _WORD ^ X32_BIT, following=differing)
            root = code.branch(_IF_GREATER_OR_EQUAL, X32_BIT, stripped, root)
        block = code.emit(_LOAD, _NUMBER_OFFSET, following=root)
        entry = code.branch(_IF_EQUAL, each.audit, block, entry)
    code.emit(_LOAD, _ARCH_OFFSET, following=entry)
    return code.program()


def plan_ranges(answers: Mapping[int, Answer], filling: Sequence[tuple[int, Answer]]) -> list[tuple[int, Answer]]:
    """(first number, answer) in rising order, from 0 on without gaps, in which `filling` stands; neighbours differ."""
    changes: dict[int, Answer] = {}
    for number in sorted(answers):
        changes[number] = answers[number]
        if number + 1 not in answers:
            changes[number + 1] = _filling(filling, number + 1)
    changes.update((first, answer) for first, answer in filling if first not in answers)
    ranges: list[tuple[int, Answer]] = []
    for first in sorted(changes):
        if not ranges or ranges[-1][1] != changes[first]:
            ranges.append((first, changes[first]))
    return ranges


def _filling(filling: Sequence[tuple[int, Answer]], number: int) -> Answer:
    return next(answer for first, answer in reversed(filling) if first <= number)


def _always(action: int) -> Answer:
    return (((), action),)


class _Code:
    """Instructions from the last to the first: every jump goes forward, so its target is known when it is emitted.

    A place is the count of instructions that follow one; a jump further than its eight bits goes by way of a long one.
    """

    __slots__ = ("_backwards", "_places")

    def __init__(self) -> None:
        self._backwards: list[tuple[int, int, int, int]] = []
        self._places: dict[Answer, int] = {}

    def program(self) -> bytes:
        return b"".join(seccomp.instruction(*each) for each in reversed(self._backwards))

    def emit(self, code: int, immediate: int, *, following: int | None = None) -> int:
        """One instruction without a condition; `following` is the place that has to come next."""
        if following is not None and following != len(self._backwards) - 1:
            self._jump_to(following)
        self._backwards.append((code, immediate, 0, 0))
        return len(self._backwards) - 1

    def branch(self, code: int, immediate: int, if_true: int, if_false: int) -> int:
        """One conditional jump."""
        if len(self._backwards) - if_true - 1 > _FURTHEST - 1:
            if_true = self._jump_to(if_true)
        if len(self._backwards) - if_false - 1 > _FURTHEST:
            if_false = self._jump_to(if_false)
        here = len(self._backwards)
        self._backwards.append((code, immediate, here - if_true - 1, here - if_false - 1))
        return here

    def search(self, ranges: Sequence[tuple[int, Answer]], start: int, end: int) -> int:
        """A balanced search among ranges[start:end] for the number that is loaded."""
        if end - start == 1:
            return self.answer(ranges[start][1])
        middle = (start + end) // 2
        above = self.search(ranges, middle, end)
        below = self.search(ranges, start, middle)
        return self.branch(_IF_GREATER_OR_EQUAL, ranges[middle][0], above, below)

    def set_native(self, place: int) -> None:
        """From now on `AS_NATIVE` is this place."""
        self._places[AS_NATIVE] = place

    def answer(self, answer: Answer) -> int:
        """The place that answers so; shared by all ranges from where one jump reaches it."""
        if answer == AS_NATIVE:
            return self._places[answer]
        place = self._places.get(answer)
        if place is not None and len(self._backwards) - place < _FURTHEST // 2:
            return place
        comparisons, action = answer[0]
        if not comparisons:
            place = self.emit(_RETURN, action)
        else:
            otherwise = self.answer(answer[1:])
            place = self.answer((((), action),))
            for comparison in reversed(comparisons):
                place = self._compare(comparison, place, otherwise)
        self._places[answer] = place
        return place

    def _compare(self, comparison: Comparison, if_true: int, if_false: int) -> int:
        argument, operator, value, second, is_low_only = comparison
        operator, is_swapped = _NEGATED.get(operator, (operator, False))
        if is_swapped:
            if_true, if_false = if_false, if_true
        mask = _WORD << 32 | _WORD
        if operator == "MASKED_EQ":
            operator, mask, value = "EQ", value, second
        test = {"EQ": _IF_EQUAL, "GT": _IF_GREATER, "GE": _IF_GREATER_OR_EQUAL}[operator]
        offset = _ARGUMENTS_OFFSET + 8 * argument
        place = self._word(offset, mask & _WORD, lambda: self.branch(test, value & _WORD, if_true, if_false))
        high_mask = mask >> 32
        high, low = value >> 32, place
        if is_low_only or (high_mask == 0 and high == 0):
            return low
        if operator == "EQ":
            return self._word(offset + 4, high_mask, lambda: self.branch(_IF_EQUAL, high, low, if_false))

        def compare_high() -> int:
            equal = self.branch(_IF_EQUAL, high, low, if_false)
            return self.branch(_IF_GREATER, high, if_true, equal)

        return self._word(offset + 4, high_mask, compare_high)

    def _word(self, offset: int, mask: int, test: Callable[[], int]) -> int:
        place = test()
        if mask != _WORD:
            place = self.emit(_AND, mask, following=place)
        return self.emit(_LOAD, offset, following=place)

    def _jump_to(self, place: int) -> int:
        here = len(self._backwards)
        self._backwards.append((_JUMP, here - place - 1, 0, 0))
        return here
