"""Digests of bytes that pass: right whatever their pieces, and never of bytes that were not stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.digests import BATCH_BYTES, LiveDigest, LiveDigests
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
