"""Manifests: the SHA-256 of each piece of a finished file, so that a range of it can be checked by itself."""

from dataclasses import dataclass

from domain.records import Kind

PIECE_BYTES = 8 * 2**20
PIECES_MAX = 8192  # 256 KiB of digests; what a database keeps in one record, and a client in memory
DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    The digests of one file's pieces.

    Attributes:
        id: The file's.
        etag: Of the blob that they are of.
        digests: SHA-256 of each piece, one behind the other.
    """

    id: str
    tenant_id: str
    etag: str
    digests: bytes
    revision: int = 0


MANIFESTS = Kind("manifests", Manifest)


def piece_bytes_of(size: int) -> int:
    """
    Give the bytes of every piece but the last, which may be shorter: the same for every file of this size.

    8 MiB, doubled until a file has at most 8,192 pieces.
    """
    piece = PIECE_BYTES
    while piece * PIECES_MAX < size:
        piece *= 2
    return piece
