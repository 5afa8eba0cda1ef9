"""
The records port: where users, files and uploads are kept.

One typed collection for each kind of record, with the few operations that are right on every database. A record is
a frozen dataclass with `id`, `tenant_id` and `revision`; its `Kind` is declared once, beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from domain.page import Condition, Order, Page, PageRequest, Value


class Record(Protocol):
    """
    What every record has.

    `revision` is 0 on a record that was never stored, 1 once added, and one more after each save or increment.
    """

    @property
    def id(self) -> str: ...
    @property
    def tenant_id(self) -> str: ...
    @property
    def revision(self) -> int: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """
    How one kind of record is kept.

    Attributes:
        name: Names the table or collection: plural, lower case.
        record: The dataclass. Fields hold None, bool, int (to 2^63-1), finite float, str, bytes, aware UTC datetimes
            (to the microsecond), enums, NewTypes of these, frozen dataclasses, and tuples or string-keyed dicts of all
            that; where a type says Any, JSON values. Stored fields that the dataclass no longer has are ignored, those
            that it gained take its default; so releases can go forth and back.
        fields: Those that conditions, orders and sums may name, each a top-level attribute (or property, for derived
            values) of type `Value`. `id` may always be named.
        unique: Groups of fields whose values no two records of a tenant share; a group with a None in it is free.
        indexes: Groups of fields that lists filter by, the ordering field last. The tenant goes before each of them.
        sequence: A field that the store numbers 1, 2, 3, … within the tenant when the record is added (given as 0).
            Numbers may be skipped. A reader in its order that has seen n will never find a smaller number appear later.
            `save` stores what the record says, so save what was read.
    """

    name: str
    record: type[R]
    fields: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    sequence: str | None = None


# ---- writes


@dataclass(frozen=True, slots=True)
class Add(Generic[R]):
    """
    Add a new record.

    `if_absent`: one with this id that is there already is left as it is, without a fault. A unique value that another
    id has is a Conflict all the same.
    """

    kind: Kind[R]
    record: R
    if_absent: bool = False


@dataclass(frozen=True, slots=True)
class Save(Generic[R]):
    """Replace a record that is still at `expected_revision`."""

    kind: Kind[R]
    record: R
    expected_revision: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a record; one that is not there is no fault."""

    kind: Kind[Any]
    tenant_id: str
    id: str


@dataclass(frozen=True, slots=True)
class Increment:
    """
    Add to number fields of a record, at once and never losing another's.

    Attributes:
        amounts: Name of an int field, declared or not, to what is added (may be negative).
        at_most: Field name to the largest value it may have after; otherwise nothing changes and it is a Conflict.
        once: A key under which this increment of this record happens one time only, however often it is written: a
            repetition changes nothing and is no fault, whatever `at_most` says. A refused one has not happened. At
            least the last 1,000 keys of a record are remembered, until it is deleted.
    """

    kind: Kind[Any]
    tenant_id: str
    id: str
    amounts: Mapping[str, int]
    at_most: Mapping[str, int] = field(default_factory=dict)
    once: str | None = None


Write = Add[Any] | Save[Any] | Delete | Increment


# ---- ports


class Collection(Protocol[R]):
    """
    The records of one kind.

    Everything durable is durable when the call returns, whatever is killed after. Raises StoreUnavailable when the
    database does not answer, StoreFull when it has no room, and InvalidValue for what no database keeps (half a
    surrogate pair, a number past 2^63-1). A write that is cancelled, or ends in StoreUnavailable, may have happened.
    """

    async def add(self, record: R) -> R:
        """Store a new record; Conflict where its id or a unique value is taken. Returns it as stored."""
        ...

    async def get(self, tenant_id: str, id: str, /) -> R:
        """Give one record, or raise NotFound."""
        ...

    async def find(self, tenant_id: str, /, **unique: Value) -> R | None:
        """Give the record with these values of one unique group, or None; a None among the values finds nothing."""
        ...

    async def get_many(self, tenant_id: str, ids: Sequence[str], /) -> dict[str, R]:
        """Give those that are there, by id; for batches, at most 1,000."""
        ...

    async def list(
        self, tenant_id: str, /, where: Sequence[Condition] = (), *, order: Order, page: PageRequest
    ) -> Page[R]:
        """Give one page of the records that meet every condition."""
        ...

    async def count(self, tenant_id: str, /, where: Sequence[Condition] = ()) -> int: ...

    async def sum(self, tenant_id: str, field: str, /, where: Sequence[Condition] = ()) -> int: ...

    async def save(self, record: R, *, expected_revision: int) -> R:
        """Replace the record if it is still at that revision, else raise Conflict (NotFound where it is gone)."""
        ...

    async def increment(
        self,
        tenant_id: str,
        id: str,
        /,
        amounts: Mapping[str, int],
        *,
        at_most: Mapping[str, int] | None = None,
        once: str | None = None,
    ) -> R:
        """Do an `Increment` and give the record as it is after; NotFound where it is not there."""
        ...

    async def delete(self, tenant_id: str, id: str, /) -> None:
        """Remove it; no fault where it is not there."""
        ...

    async def scan(self, where: Sequence[Condition], *, order: Order, limit: int) -> Sequence[R]:
        """
        Give records of every tenant, for maintenance alone: no face and no user's request may reach this.

        Quick where an index has the fields of `where`. Ties go by id, then by tenant.
        """
        ...


class Records(Protocol):
    def collection(self, kind: Kind[R]) -> Collection[R]: ...

    async def write(self, first: Write, /, *rest: Write) -> None:
        """
        Do several writes in order.

        The first decides: where it raises, none happens. Where a later one raises, the caller is told of that one, and
        those behind it do not happen. A database with transactions has then done none; one without has done those
        before it, and may be cut off behind any of them. So the caller puts them in an order that can be repeated from
        the start (`if_absent`, `once`) and records last that all is done.
        """
        ...

    async def ping(self) -> None:
        """Raise StoreUnavailable or StoreFull unless a write could be made now."""
        ...
