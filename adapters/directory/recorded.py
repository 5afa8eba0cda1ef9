"""Profiles among the records of everything else."""

from collections.abc import Sequence
from datetime import datetime

from domain.page import PAGE_SIZE_MAX, Order, PageRequest, Position
from domain.profile import PROFILES, PROFILES_MAX, Profile, ProfileRecord
from domain.records import Records


class RecordedDirectory:
    def __init__(self, records: Records) -> None:
        self._profiles = records.collection(PROFILES)

    async def add(self, tenant_id: str, profile: Profile, *, now: datetime) -> None:
        await self._profiles.add(ProfileRecord(profile.email, profile.name, profile.avatar_url, now, tenant_id))

    async def list_all(self, tenant_id: str) -> Sequence[Profile]:
        found: list[ProfileRecord] = []
        after: Position | None = None
        while len(found) < PROFILES_MAX:
            page = await self._profiles.list(
                tenant_id, order=Order("created_at"), page=PageRequest(PAGE_SIZE_MAX, after=after)
            )
            found += page.items
            if not page.has_next:
                break
            after = Position(found[-1].created_at, found[-1].id)
        return [Profile(one.name, one.id, one.avatar_url) for one in found]
