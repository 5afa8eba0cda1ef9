"""One writer at a time: the port through which a request gets hold of an upload."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class LockManager(Protocol):
    def hold(
        self, key: str, *, on_contention: Callable[[], None], patience_seconds: float
    ) -> AbstractAsyncContextManager[None]:
        """
        Hold `key` for the length of the block.

        A newcomer has the holder's `on_contention` called, once, and waits until the holder lets go.

        Raises:
            UploadLocked: The holder did not let go within `patience_seconds`.
        """
        ...
