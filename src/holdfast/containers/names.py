# SPDX-License-Identifier: Apache-2.0
"""Container names: which are allowed, and one for the container that has none (`brave_hopper`).

Pure but for the source of chance that the caller passes. Called by the jobs create and rename.
Source: moby `daemon/names`; the word lists are our own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Container

from holdfast.errors import InvalidArgument

_ALLOWED = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)

# fmt: off
_ADJECTIVES = (
    "able", "agile", "amused", "bold", "brave", "bright", "brisk", "calm", "candid", "careful", "cheerful", "clever",
    "cosy", "curious", "daring", "dazzling", "eager", "earnest", "elated", "fair", "fearless", "festive", "focused",
    "friendly", "gallant", "gentle", "gifted", "graceful", "happy", "hopeful", "humble", "jolly", "keen", "kind",
    "lively", "loyal", "lucid", "merry", "modest", "nimble", "noble", "patient", "peaceful", "placid", "plucky",
    "polite", "proud", "quick", "quiet", "radiant", "ready", "relaxed", "serene", "sharp", "silent", "sincere",
    "sleepy", "steady", "sunny", "tender", "thrifty", "tidy", "trusting", "upbeat", "vibrant", "vigilant", "warm",
    "wise", "witty", "zealous", "zen",
)
_SURNAMES = (
    "abel", "ada", "archimedes", "babbage", "banach", "bardeen", "bell", "bernoulli", "bohr", "boole", "born", "bose",
    "cantor", "carson", "cerf", "chebyshev", "church", "cohen", "conway", "copernicus", "cori", "cray", "curie",
    "darwin", "dijkstra", "dirac", "easley", "einstein", "elion", "engelbart", "euclid", "euler", "faraday", "fermat",
    "fermi", "feynman", "franklin", "galileo", "galois", "gauss", "germain", "godel", "goodall", "hamilton", "hawking",
    "heisenberg", "hertz", "hilbert", "hoare", "hodgkin", "hopper", "hypatia", "jackson", "joliot", "kepler", "knuth",
    "kowalevski", "lamarr", "lamport", "leibniz", "liskov", "lovelace", "maxwell", "mcclintock", "meitner", "mendel",
    "mirzakhani", "morse", "nash", "newton", "nobel", "noether", "pascal", "pasteur", "perlman", "planck", "poincare",
    "ptolemy", "ramanujan", "ritchie", "rubin", "sammet", "shannon", "shaw", "shirley", "swartz", "tesla", "thompson",
    "torvalds", "turing", "vaughan", "volta", "wiles", "wilson", "wing", "wright", "wu", "yalow", "yonath", "zhukovsky",
)
# fmt: on


def check(name: str) -> str:
    """The name without a leading slash; InvalidArgument in Docker's words."""
    bare = name.removeprefix("/")
    if _ALLOWED.fullmatch(bare) is None:
        raise InvalidArgument(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return bare


def generate(taken: Container[str], chance: random.Random) -> str:
    """A free name; with a number at its end when a few tries were all taken."""
    name = ""
    for attempt in range(100):
        name = f"{chance.choice(_ADJECTIVES)}_{chance.choice(_SURNAMES)}"
        if attempt > 5:
            name += str(chance.randrange(10 ** (attempt // 6)))
        if name not in taken:
            return name
    return f"{name}_{chance.randbytes(6).hex()}"


def conflict_text(name: str, holder_id: str) -> str:
    """What Docker says when a name is taken."""
    return (
        f'Conflict. The container name "/{name}" is already in use by container "{holder_id}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
