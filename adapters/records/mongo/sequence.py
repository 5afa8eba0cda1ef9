"""
Numbers a tenant's records 1, 2, 3, … without transactions, so that none ever appears behind a larger one.

A number is taken by inserting the record itself under a unique index, and only the one that follows a number known
to be there is ever tried: who sees n can see all before it. A counter document remembers the largest number that was
deleted, so that it is not given again. (Left open: a process that stands still for longer than it takes others to add
and delete the very next records.)
"""

import asyncio
from collections import deque
from typing import Any

import bson
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.common import MAX_BSON_SIZE
from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError

from adapters.records.mongo.query import Document, index_of_duplicate

GROUP_MAX = 100  # records that go to the server in one message

_DUPLICATE = 11000
_Waiting = deque[tuple[Document, "asyncio.Future[int]"]]


class Numbers:
    """
    The numbers of one kind.

    Args:
        collection: Has a unique index named `index` over the tenant and `field`.
        counters: Where the largest deleted numbers are kept, a document with `last` for each tenant.
    """

    def __init__(
        self, collection: AsyncCollection[Document], counters: AsyncCollection[Document], *, field: str, index: str
    ) -> None:
        self.field = field
        self._collection = collection
        self._counters = counters
        self._index = index
        self._waiting: dict[str, _Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, document: Document) -> int:
        """
        Insert a document under the next number of its tenant, and give that. Those who come meanwhile go together.

        Raises:
            DuplicateKeyError: Its id or a unique value is taken.
            PyMongoError, BSONError, OverflowError, UnicodeEncodeError: It cannot be sent or was not answered.
        """
        tenant_id = document["tenant_id"]
        # What cannot be sent is found out here, where it spoils nobody else's message.
        if len(bson.encode(document)) > MAX_BSON_SIZE:
            raise DocumentTooLarge("a document must not be larger than 16 MB")
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if (waiting := self._waiting.get(tenant_id)) is not None:
            waiting.append((document, future))
        else:
            self._waiting[tenant_id] = waiting = deque([(document, future)])
            task = asyncio.create_task(self._work_off(tenant_id, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def forget(self, tenant_id: str, number: int) -> None:
        """See that a number is not given again; to be called before its record is deleted."""
        greater = {"tenant_id": tenant_id, self.field: {"$gt": number}}
        if await self._collection.find_one(greater, {"_id": 1}) is not None:
            return
        key = {"_id": self._counter_id(tenant_id)}
        try:
            await self._counters.update_one({**key, "last": {"$lt": number}}, {"$set": {"last": number}}, upsert=True)
        except DuplicateKeyError:
            # The counter is there, and as large or larger.
            return

    async def close(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    # ---- groups

    async def _work_off(self, tenant_id: str, waiting: _Waiting) -> None:
        try:
            while waiting:
                group = [waiting.popleft() for _ in range(min(len(waiting), GROUP_MAX))]
                await self._insert_all(tenant_id, group)
        finally:
            del self._waiting[tenant_id]
            for _, future in waiting:  # there are some only where the event loop ends
                future.cancel()

    async def _insert_all(self, tenant_id: str, group: list[tuple[Document, "asyncio.Future[int]"]]) -> None:
        try:
            number = await self._last(tenant_id)
            while group:
                number, group = await self._insert(group, number)
        except Exception as error:  # handed to all who wait for it
            for _, future in group:
                if not future.done():
                    future.set_exception(error)

    async def _insert(
        self, group: list[tuple[Document, "asyncio.Future[int]"]], last: int
    ) -> tuple[int, list[tuple[Document, "asyncio.Future[int]"]]]:
        """Insert what can be inserted behind a number that is there; give the last number there now, and the rest."""
        for offset, (document, _) in enumerate(group):
            document[self.field] = last + 1 + offset
        duplicate: dict[str, Any] | None = None
        try:
            await self._collection.insert_many([document for document, _ in group])
        except BulkWriteError as error:
            duplicate = error.details["writeErrors"][0] if error.details.get("writeErrors") else None
            if duplicate is None or duplicate["code"] != _DUPLICATE:
                raise

        count = len(group) if duplicate is None else duplicate["index"]
        for document, future in group[:count]:
            if not future.done():
                future.set_result(document[self.field])
        if duplicate is None:
            return last + count, []
        if index_of_duplicate(duplicate["errmsg"]) == self._index:
            # Another process has the next number: it is there now.
            return last + count + 1, group[count:]
        refused = group[count][1]
        if not refused.done():
            refused.set_exception(DuplicateKeyError(duplicate["errmsg"], _DUPLICATE, duplicate))
        return last + count, group[count + 1 :]

    async def _last(self, tenant_id: str) -> int:
        """Give the largest number there was. Records are asked first, since a deletion raises the counter first."""
        newest = await self._collection.find_one({"tenant_id": tenant_id}, {self.field: 1}, sort=[(self.field, -1)])
        counter = await self._counters.find_one({"_id": self._counter_id(tenant_id)})
        return max(newest[self.field] if newest else 0, counter["last"] if counter else 0)

    def _counter_id(self, tenant_id: str) -> str:
        return f"{self._collection.name}/{tenant_id}"
