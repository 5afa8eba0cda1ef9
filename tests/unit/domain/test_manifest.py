"""How a file is cut into the pieces of its manifest."""

import pytest

from domain.manifest import DIGEST_BYTES, PIECE_BYTES, PIECES_MAX, piece_bytes_of


@pytest.mark.parametrize(
    ("size", "piece_bytes"),
    [
        (0, PIECE_BYTES),
        (1, PIECE_BYTES),
        (PIECE_BYTES * PIECES_MAX, PIECE_BYTES),
        (PIECE_BYTES * PIECES_MAX + 1, 2 * PIECE_BYTES),
        (2**40, 2**27),
        (50 * 10**12, 2**33),
    ],
)
def test_pieces_grow_with_the_file(size, piece_bytes):
    """The size of a piece follows from the file's alone, and a record never gets too large."""
    assert piece_bytes == piece_bytes_of(size)
    assert -(-size // piece_bytes) * DIGEST_BYTES <= 2**18
