# SPDX-License-Identifier: Apache-2.0
"""The poll loop."""

import os
import sys
import time

from holdfast.kernel import loop


def test_ready_descriptors_and_due_timers_are_called():
    poll = loop.Loop()
    reader, writer = os.pipe()
    seen: list[str] = []
    poll.add(reader, loop.READ, lambda _: seen.append(os.read(reader, 9).decode()))
    poll.call_later(0.01, lambda: seen.append("later"))
    poll.call_later(0.005, lambda: seen.append("never")).cancel()
    poll.call_later(0.02, poll.stop)
    os.write(writer, b"x")

    poll.run()

    assert seen == ["x", "later"]


def test_a_descriptor_without_interest_still_reports_its_hangup():
    poll = loop.Loop()
    reader, writer = os.pipe()
    poll.add(reader, 0, lambda ready: poll.stop() if ready & loop.HANGUP else None)
    os.write(writer, b"x")
    os.close(writer)

    poll.run()


def test_a_callback_that_raises_is_reported_and_the_loop_goes_on(monkeypatch):
    poll = loop.Loop()
    reported: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, *_: reported.append(kind))

    def fail() -> None:
        raise ValueError("oops")

    poll.call_later(0, fail)
    poll.call_later(0.01, poll.stop)
    began = time.monotonic()

    poll.run()

    assert reported == [ValueError]
    assert time.monotonic() - began < 1


def test_timers_run_in_the_order_in_which_they_are_due():
    poll = loop.Loop()
    seen: list[str] = []
    for name, seconds in (("third", 0.02), ("first", 0.0), ("second", 0.01), ("fourth", 0.02)):
        poll.call_later(seconds, lambda name=name: seen.append(name))
    poll.call_later(0.03, poll.stop)

    poll.run()

    assert seen == ["first", "second", "third", "fourth"]


def test_a_timer_that_is_set_again_and_again_starves_no_descriptor():
    poll = loop.Loop()
    reader, writer = os.pipe()
    poll.add(reader, loop.READ, lambda _: poll.stop())

    def again() -> None:
        poll.call_later(0, again)

    again()
    os.write(writer, b"x")

    poll.run()
