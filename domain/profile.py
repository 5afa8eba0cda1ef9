"""Profiles: the people of a directory, with a picture each; who has one need not have a log-in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.ids import SYSTEM
from domain.records import Kind

PROFILES_MAX = 10_000  # in one answer, and so in one directory
AVATAR_BYTES_MAX = 10 * 2**20
AVATAR_EDGE_MAX = 512  # pixels of what is kept


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    email: str
    avatar_url: str


class Directory(Protocol):
    """Where profiles are kept; an e-mail address is there once at most. Raises StoreUnavailable."""

    async def add(self, tenant_id: str, profile: Profile, *, now: datetime) -> None:
        """Keep a profile, or raise Conflict where the address has one."""
        ...

    async def list_all(self, tenant_id: str) -> Sequence[Profile]:
        """Give every profile, at most `PROFILES_MAX`."""
        ...


@dataclass(frozen=True, slots=True)
class ProfileRecord:
    """A profile among the records; its id is the e-mail address."""

    id: str
    name: str
    avatar_url: str
    created_at: datetime
    tenant_id: str = SYSTEM
    revision: int = 0


PROFILES = Kind("profiles", ProfileRecord, fields=("created_at",), indexes=(("created_at",),))
