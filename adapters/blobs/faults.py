"""What a fault of the operating system means to somebody who stores bytes."""

import errno

from domain.blob import BlobWriter
from domain.errors import StoreFull, StoreUnavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def fault_of(error: OSError, kept: BlobWriter | None = None) -> StoreFull | StoreUnavailable:
    if error.errno in _FULL:
        return StoreFull(kept=kept)
    return StoreUnavailable("blob store", kept=kept)
