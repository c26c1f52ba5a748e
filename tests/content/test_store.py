# SPDX-License-Identifier: Apache-2.0
"""Blobs get a name only when they are what was promised; an attempt can be resumed; nothing is lost that is needed."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.content import Store
from holdfast.errors import Conflict, Corrupt, InvalidArgument, NotFound
from holdfast.oci import digest
from holdfast.oci.digest import Digest

DATA = b"hello, blob" * 1000
DIGEST = digest.of(DATA)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "content"))


def partials(store: Store) -> list[str]:
    return os.listdir(Path(store.path(DIGEST)).parents[2] / "ingest")


def test_a_blob_is_stored_and_read(store: Store) -> None:
    with store.ingest("x", DIGEST, len(DATA)) as blob:
        blob.write(DATA[:10])
        blob.write(memoryview(DATA)[10:])

        assert not store.has(DIGEST)
        assert blob.commit() == DIGEST

    assert store.has(DIGEST)
    assert store.size(DIGEST) == len(DATA)
    assert store.open(DIGEST).read() == DATA
    assert list(store.iter()) == [DIGEST]
    assert partials(store) == []


def test_an_attempt_is_resumed_where_it_broke(store: Store) -> None:
    with store.ingest("x", DIGEST, len(DATA)) as blob:
        blob.write(DATA[:500])

    with store.ingest("x", DIGEST, len(DATA)) as blob:
        assert blob.offset == 500
        blob.write(DATA[blob.offset :])
        blob.commit()

    assert store.read(DIGEST, len(DATA)) == DATA


def test_an_attempt_without_a_promised_digest_is_not_resumed(store: Store) -> None:
    with store.ingest("x") as blob:
        blob.write(DATA)
    assert partials(store) == []

    with store.ingest("x") as blob:
        assert blob.offset == 0
        blob.write(DATA)
        assert blob.commit() == DIGEST


def test_corrupt_content_is_refused_and_leaves_nothing(store: Store) -> None:
    with store.ingest("x", DIGEST, len(DATA)) as blob:
        blob.write(b"X" + DATA[1:])
        with pytest.raises(Corrupt, match="failed verification"):
            blob.commit()

    assert not store.has(DIGEST)
    assert partials(store) == []


def test_badsize_more_than_declared_is_refused_at_once(store: Store) -> None:
    with store.ingest("x", DIGEST, 5) as blob:
        blob.write(b"12345")
        with pytest.raises(Corrupt, match="larger than the 5 bytes"):
            blob.write(b"6")

    assert partials(store) == []


def test_badsize_less_than_declared_is_refused(store: Store) -> None:
    with store.ingest("x", DIGEST, len(DATA) + 1) as blob:
        blob.write(DATA)
        with pytest.raises(Corrupt, match="were declared"):
            blob.commit()

    assert not store.has(DIGEST)


def test_a_partial_that_is_too_long_is_started_anew(store: Store) -> None:
    with store.ingest("x", DIGEST) as blob:
        blob.write(DATA * 2)

    with store.ingest("x", DIGEST, len(DATA)) as blob:
        assert blob.offset == 0


def test_two_attempts_of_one_name_are_refused(store: Store) -> None:
    with store.ingest("x", DIGEST), pytest.raises(Conflict):
        store.ingest("x", DIGEST)
    store.ingest("x", DIGEST).close()


def test_baddigest_never_becomes_a_path(store: Store) -> None:
    for text in ("sha256:../../x", "../x", "sha256:" + "A" * 64):
        with pytest.raises(InvalidArgument):
            store.open(Digest(text))
        with pytest.raises(InvalidArgument):
            store.ingest("x", Digest(text))


def test_a_blob_changed_on_disk_is_noticed(store: Store) -> None:
    store.put(DATA)
    Path(store.path(DIGEST)).write_bytes(b"X" + DATA[1:])

    with pytest.raises(Corrupt, match="damaged"):
        store.read(DIGEST, len(DATA))


def test_what_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.open(DIGEST)
    with pytest.raises(NotFound):
        store.size(DIGEST)
    store.delete(DIGEST)


def test_a_read_has_a_limit(store: Store) -> None:
    store.put(DATA)

    with pytest.raises(InvalidArgument, match="limit"):
        store.read(DIGEST, 10)


def test_collect_spares_roots_and_leases(store: Store) -> None:
    root, leased, stray = (store.put(text) for text in (b"root", b"leased", b"stray"))

    with store.lease() as lease:
        lease.add(leased)
        landed = store.put(b"landed meanwhile")
        assert store.collect([root]) == [stray]
        assert set(store.iter()) == {root, leased, landed}

    assert set(store.collect([root])) == {leased, landed}


def test_purge_removes_old_partials_only(store: Store) -> None:
    for name in ("old", "new"):
        with store.ingest(name, DIGEST) as blob:
            blob.write(b"part")
    old = Path(store.path(DIGEST)).parents[2] / "ingest" / partials(store)[0]
    os.utime(old, (1000, 1000))

    store.purge(older_than=2000)

    assert len(partials(store)) == 1


def test_an_attempt_that_nobody_resumes_goes_with_its_block_or_the_next_purge(store: Store) -> None:
    with store.ingest("load", DIGEST, len(DATA), resumable=False) as blob:
        blob.write(DATA[:500])
    assert partials(store) == []

    killed = store.ingest("load", DIGEST, len(DATA), resumable=False)
    killed.write(DATA[:500])
    store.purge(older_than=0)
    assert len(partials(store)) == 1  # it is under way
    Store(str(Path(store.path(DIGEST)).parents[2])).purge(older_than=0)

    assert partials(store) == []


def test_directories_are_private(store: Store) -> None:
    assert os.stat(Path(store.path(DIGEST)).parents[2]).st_mode & 0o077 == 0


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(DATA)), max_size=5))
def test_any_sequence_of_breaks_ends_in_the_same_blob(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    store = Store(str(tmp_path_factory.mktemp("content")))
    for cut in cuts:
        with store.ingest("x", DIGEST, len(DATA)) as blob:
            blob.write(DATA[blob.offset : max(cut, blob.offset)])
    with store.ingest("x", DIGEST, len(DATA)) as blob:
        blob.write(DATA[blob.offset :])
        blob.commit()

    assert store.read(DIGEST, len(DATA)) == DATA


def test_a_collector_that_inherits_takes_nothing_whose_lease_ends_meanwhile(store: Store) -> None:
    other = store.lease()
    arriving = store.put(b"arriving")

    with store.lease(inherits=True):
        other.close()  # a record names it now, which the collector has not seen

        assert store.collect([]) == []
    assert store.collect([]) == [arriving]


def test_a_blob_that_lands_after_the_roots_were_counted_is_spared(store: Store) -> None:
    with store.lease():
        roots: list[Digest] = []
        landed = store.put(b"landed")

        assert store.collect(roots) == []
    assert list(store.iter()) == [landed]
