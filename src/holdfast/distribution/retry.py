# SPDX-License-Identifier: Apache-2.0
"""When to try again and when to give up, as a value that knows neither clock nor network.

A download that gains bytes starts afresh: the deadline is for time without progress, so a slow line may take hours
and a dead registry half a minute. Called by `distribution.remote` and `distribution.blobs`, which sleep and count.
"""

from __future__ import annotations

from dataclasses import dataclass

TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits of one series of attempts."""

    attempts: int = 6
    deadline_seconds: float = 30.0
    first_delay_seconds: float = 0.5
    max_delay_seconds: float = 8.0


class Series:
    """The attempts at one thing since it last made progress; `failed` says how long to wait, None means give up."""

    __slots__ = ("_attempts_since_progress", "_began", "_policy", "_started", "attempts", "last_failure")

    def __init__(self, policy: Policy, now: float) -> None:
        self._policy = policy
        self._started = now
        self._began = now
        self._attempts_since_progress = 0
        self.attempts = 0
        self.last_failure = ""

    def progressed(self, now: float) -> None:
        """Bytes arrived: earlier failures no longer count."""
        self._began = now
        self._attempts_since_progress = 0

    def failed(self, failure: str, now: float, jitter: float, retry_after: float | None = None) -> float | None:
        """Notes a failure; returns the seconds to wait before the next attempt, or None when it is time to give up.

        `jitter` in [0, 1) spreads the delay over its upper half. `retry_after` is the registry's own wish; one that
        reaches beyond the deadline ends the series.
        """
        self.attempts += 1
        self._attempts_since_progress += 1
        self.last_failure = failure
        if self._attempts_since_progress >= self._policy.attempts:
            return None
        exponential = self._policy.first_delay_seconds * 2 ** (self._attempts_since_progress - 1)
        delay = min(exponential, self._policy.max_delay_seconds) * (0.5 + jitter / 2)
        if retry_after is not None:
            delay = max(delay, retry_after)
        return delay if now + delay - self._began <= self._policy.deadline_seconds else None

    def remaining_seconds(self, now: float) -> float:
        """What is left of the deadline, never below zero; for time-outs of single operations."""
        return max(0.0, self._policy.deadline_seconds - (now - self._began))

    def describe(self, now: float) -> str:
        """What was tried, for the final error."""
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return f"{tries} in {now - self._started:.1f}s, the last one: {self.last_failure}"


def retry_after_seconds(header: str | None) -> float | None:
    """The seconds of a `Retry-After` header; dates and nonsense count as absent."""
    if header is None or not header.isascii() or not header.strip().isdigit():
        return None
    return float(min(int(header.strip()[:6]), 86400))
