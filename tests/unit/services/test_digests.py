"""Digests of bytes that pass: right whatever their pieces, and never of bytes that were not stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.digests import BATCH_BYTES, WAITING_BYTES_MAX, LiveDigest, LiveDigests
from tests.support.product import sha256


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, BATCH_BYTES, BATCH_BYTES + 1, 3 * BATCH_BYTES + 5])
async def test_digest_is_that_of_all_pieces(size):
    """Also those that are hashed in threads."""
    content = bytes(range(256)) * (size // 256 + 1)
    content, digest = content[:size], LiveDigest()
    for start in range(0, size, 100_000):
        await digest.update(content[start : start + 100_000])

    assert size == digest.offset
    assert sha256(content) == await digest.hexdigest()


@given(st.integers(0, 3), st.integers(0, 3))
def test_digest_goes_on_only_where_it_stands(kept, asked):
    """One that missed bytes, or saw bytes that were not kept, is thrown away."""
    digests, digest = LiveDigests(), LiveDigest()
    digest.offset = kept
    digests.give_back("a", digest)
    taken = digests.take("a", offset=asked)

    if asked == 0:
        assert taken is not digest
        assert taken is not None
    else:
        assert (digest if kept == asked else None) is taken
    assert digests.take("a", offset=max(1, asked)) is None  # it is taken out, whatever comes of it


def test_only_so_many_are_kept():
    """The longest untouched is forgotten; its file is read again later."""
    digests = LiveDigests(live_max=2)
    for name in "abc":
        digest = LiveDigest()
        digest.offset = 1
        digests.give_back(name, digest)
    digests.forget("b")

    assert [None, None] == [digests.take(name, offset=1) for name in "ab"]
    assert digests.take("c", offset=1) is not None


async def test_what_waits_to_be_hashed_is_bounded():
    """Many unfinished uploads, each with bytes that are no batch yet: the longest untouched are forgotten."""
    digests, many = LiveDigests(), 2 * WAITING_BYTES_MAX // (BATCH_BYTES - 1)
    content = bytes(BATCH_BYTES - 1)
    for number in range(many):
        digest = LiveDigest()
        await digest.update(content)
        digests.give_back(f"{number}", digest)
    kept = [digests.take(f"{number}", offset=len(content)) for number in range(many)]

    assert WAITING_BYTES_MAX // len(content) == sum(digest is not None for digest in kept)
    assert kept[-1] is not None
    assert sha256(content) == await kept[-1].hexdigest()
