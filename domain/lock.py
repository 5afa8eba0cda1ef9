"""One writer at a time: the port through which a request gets hold of an upload, and the lease that it rests on."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.ids import SYSTEM
from domain.records import Kind


@dataclass(frozen=True, slots=True)
class Hold:
    """
    What a holder is told.

    `was_stolen`: the one before did not let go, and may not know yet that it lost the key. Before anything is written
    the record under the key must be moved to another revision, so that nothing of the old holder's can be recorded.
    """

    was_stolen: bool = False


class LockManager(Protocol):
    def hold(
        self,
        key: str,
        *,
        on_contention: Callable[[], None],
        patience_seconds: float,
        check: Callable[[], Awaitable[object]] | None = None,
    ) -> AbstractAsyncContextManager[Hold]:
        """
        Hold `key` for the length of the block.

        A newcomer has the holder's `on_contention` called, which may happen more than once, and waits until the
        holder lets go.

        Args:
            check: Awaited before anybody is disturbed or anything is written for this newcomer, who may have no right
                to that; what it raises is raised. It may be left out where nobody holds the key.

        Raises:
            UploadLocked: The holder did not let go within `patience_seconds`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """
    Who holds a key, among processes. Its id is the key.

    Attributes:
        owner: Names the process and the request; empty while nobody holds it.
        until: When it may be taken from an owner who does not renew it.
        is_wanted: Somebody waits for it.
    """

    id: str
    owner: str
    until: datetime
    is_wanted: bool = False
    tenant_id: str = SYSTEM
    revision: int = 0


LEASES = Kind("leases", Lease, fields=("until",), indexes=(("until",),))
