"""A record that uses everything a record may, and how contract tests make and open databases for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NewType

from domain.records import Kind

ParcelId = NewType("ParcelId", str)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class State(Enum):
    OPEN = "open"
    SENT = "sent"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Label:
    text: str
    weight: float = 0.0
    printed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What the contract is tried on."""

    id: ParcelId
    tenant_id: str
    title: str = ""
    state: State = State.OPEN
    created_at: datetime = NOON
    expires_at: datetime | None = None
    owner: str | None = None
    code: str | None = None
    shelf: str | None = None
    slot: int | None = None
    size_bytes: int = 0
    opened: int = 0
    is_fragile: bool = False
    seal: bytes = b""
    label: Label | None = None
    labels: tuple[Label, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0
    revision: int = 0

    @property
    def title_folded(self) -> str:
        return self.title.casefold()


PARCELS = Kind(
    "parcels",
    Parcel,
    fields=(
        "title",
        "title_folded",
        "state",
        "created_at",
        "expires_at",
        "owner",
        "slot",
        "size_bytes",
        "is_fragile",
    ),
    unique=(("code",), ("shelf", "slot")),
    indexes=(("created_at",), ("state", "created_at"), ("owner", "size_bytes"), ("expires_at",)),
    sequence="number",
)


@dataclass(frozen=True, slots=True)
class Tally:
    """The least a record can be; no sequence, nothing derived."""

    id: str
    tenant_id: str
    count: int = 0
    other: int = 0
    revision: int = 0


TALLIES = Kind("tallies", Tally, fields=("count",))

KINDS = (PARCELS, TALLIES)


def parcel(name: str, *, tenant_id: str = "tenant_a", **fields: Any) -> Parcel:
    return Parcel(ParcelId(f"parcel_{name}"), tenant_id, **fields)
