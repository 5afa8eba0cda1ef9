"""
Records in MongoDB, through PyMongo's asynchronous client.

No transaction is needed and none is used: a write is one document, decided by a filter on its revision. Only
operations are used that every server of the protocol is known to get right.
"""

import asyncio
import builtins
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, Self

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, DocumentTooLarge, DuplicateKeyError, OperationFailure, PyMongoError

from adapters.records.codec import GET_MANY_MAX, INTEGER_MAX, INTEGER_MIN, ONCE_KEYS_KEPT, Codec, stored, unkeepable
from adapters.records.mongo import schema
from adapters.records.mongo.document import from_document, to_document
from adapters.records.mongo.query import (
    Document,
    all_of,
    index_of_duplicate,
    key_of,
    stretch_filters,
    stretch_sort,
    unique_field,
    unique_key,
    where_filters,
)
from adapters.records.mongo.sequence import Numbers
from adapters.records.paging import Steps, Stretch, steps
from domain.errors import Conflict, InvalidValue, LighterageError, NotFound, StoreFull, StoreUnavailable
from domain.page import Condition, Order, Page, PageRequest, Value
from domain.records import Add, Delete, Increment, Kind, R, Save, Write

CHANGES_POLL_SECONDS = 0.2
SERVER_TIMEOUT_MS = 3000  # to find a server that takes writes; after it a caller learns that there is none
ANSWER_TIMEOUT_MS = 10_000  # for one answer of a server that was found
DATABASE_NAME = "lighterage"

_ONCE = "_once"  # the field of a document that remembers such keys
_OUT_OF_DISK_SPACE, _OBJECT_TOO_LARGE = 14031, 10334  # as the server numbers them
_TRIES_MAX = 100  # of a compare-and-set, each lost to another that won
_FREE_TRIES = 2  # before those of one process line up
_ONCE_KEYS_SLACK = 250  # old keys are dropped so many at a time


class MongoRecords:
    """The records port on one database. `open` makes one."""

    def __init__(self, database: AsyncDatabase[Document], kinds: Sequence[Kind[Any]]) -> None:
        self._database = database
        self._collections = {kind.name: MongoCollection(kind, database) for kind in kinds}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, kinds: Sequence[Kind[Any]], *, database_name: str | None = None
    ) -> AsyncIterator[Self]:
        """
        Connect for the time of an `async with`, and make the indexes that the kinds need.

        Args:
            url: A `mongodb://` or `mongodb+srv://` address; may name the database.
            kinds: All that will be asked for.
            database_name: Goes before what the address names; without either it is `DATABASE_NAME`.

        Raises:
            ValueError: The address is wrong in itself.
            StoreUnavailable: No server answers, or it does not let us in.
            Conflict: Records that are there break a unique group that was declared since.
        """
        try:
            client: AsyncMongoClient[Document] = AsyncMongoClient(
                url,
                serverSelectionTimeoutMS=SERVER_TIMEOUT_MS,
                connectTimeoutMS=SERVER_TIMEOUT_MS,
                socketTimeoutMS=ANSWER_TIMEOUT_MS,
                waitQueueTimeoutMS=ANSWER_TIMEOUT_MS,
                w="majority",
                journal=True,
                retryWrites=True,
                readPreference="primary",
            )
        except (ConfigurationError, ValueError) as error:
            raise ValueError("this is no address of a MongoDB server") from error
        async with client:
            name = database_name or client.get_default_database(DATABASE_NAME).name
            with _faults():
                await schema.fit(client[name], kinds)
            records = cls(client[name], kinds)
            try:
                yield records
            finally:
                await records._close()

    def collection(self, kind: Kind[R]) -> "MongoCollection[R]":
        found: MongoCollection[R] = self._collections[kind.name]
        return found

    async def write(self, first: Write, /, *rest: Write) -> None:
        """Do them in order, up to the first that raises."""
        for one in (first, *rest):
            await self._collections[one.kind.name].write(one)

    async def ping(self) -> None:
        with _faults():
            await self._database["_state"].update_one({"_id": "beat"}, {"$inc": {"beats": 1}}, upsert=True)

    async def changes(self, kind: Kind[Any]) -> AsyncGenerator[None, None]:
        """
        Yield once, and then soon after a record of this kind was added, by whichever process.

        The number of records is asked for each 200 ms, which the server has at hand. One that was added while another
        was deleted is missed, as is everything while the server is away: whoever waits looks for himself at times.
        """
        number, known = 0, -1
        while True:
            with contextlib.suppress(LighterageError), _faults():
                number = await self._database[kind.name].estimated_document_count()
            if number != known:
                known = number
                yield
            await asyncio.sleep(CHANGES_POLL_SECONDS)

    async def _close(self) -> None:
        for collection in self._collections.values():
            await collection.close()


class MongoCollection(Generic[R]):
    """The collection port on one MongoDB collection."""

    def __init__(self, kind: Kind[R], database: AsyncDatabase[Document]) -> None:
        self._kind = kind
        self._codec = Codec(kind)
        self._collection: AsyncCollection[Document] = database[kind.name]
        self._line = asyncio.Lock()
        self._numbers: Numbers | None = None
        if kind.sequence is not None:
            index = schema.sequence_index(kind)
            self._numbers = Numbers(self._collection, database["_sequence"], field=kind.sequence, index=index)

    # ---- reads

    async def get(self, tenant_id: str, id: str, /) -> R:
        return self._decoded(await self._find(tenant_id, id))

    async def find(self, tenant_id: str, /, **unique: Value) -> R | None:
        group = next(group for group in self._kind.unique if set(group) == unique.keys())
        if None in unique.values():
            return None
        key = unique_key("", tenant_id, [stored(unique[field]) for field in group])
        with _faults():
            document = await self._collection.find_one({unique_field(group): key})
        return None if document is None else self._decoded(document)

    async def get_many(self, tenant_id: str, ids: Sequence[str], /) -> dict[str, R]:
        assert len(ids) <= GET_MANY_MAX
        keys = [key_of(tenant_id, identifier) for identifier in ids]
        with _faults():
            documents = await self._collection.find({"_id": {"$in": keys}}).to_list()
        return {document["id"]: self._decoded(document) for document in documents}

    async def list(
        self, tenant_id: str, /, where: Sequence[Condition] = (), *, order: Order, page: PageRequest
    ) -> Page[R]:
        filters = [{"tenant_id": tenant_id}, *where_filters(where)]
        reading: Steps[R] = steps(order, page, is_nullable=self._codec.is_nullable(order.field))
        try:
            step = next(reading)
            while True:
                step = reading.send(await self._read(filters, *step))
        except StopIteration as done:
            found: Page[R] = done.value
            return found

    async def count(self, tenant_id: str, /, where: Sequence[Condition] = ()) -> int:
        with _faults():
            return await self._collection.count_documents(all_of([{"tenant_id": tenant_id}, *where_filters(where)]))

    async def sum(self, tenant_id: str, field: str, /, where: Sequence[Condition] = ()) -> int:
        matching = all_of([{"tenant_id": tenant_id}, *where_filters(where)])
        summing = {"_id": None, "sum": {"$sum": f"${field}"}}
        with _faults():
            cursor = await self._collection.aggregate([{"$match": matching}, {"$group": summing}])
            groups = await cursor.to_list()
        return int(groups[0]["sum"]) if groups else 0

    async def scan(self, where: Sequence[Condition], *, order: Order, limit: int) -> Sequence[R]:
        direction = -1 if order.descending else 1
        by = [(field, direction) for field in dict.fromkeys([order.field, "id", "tenant_id"])]
        # Any tenant; said, because indexes begin with the tenant and are passed over without a word on it.
        filters = [{"tenant_id": {"$gte": ""}}, *where_filters(where)]
        with _faults():
            documents = await self._collection.find(all_of(filters)).sort(by).limit(limit).to_list()
        return [self._decoded(document) for document in documents]

    # ---- writes

    async def add(self, record: R) -> R:
        return await self._add(record)

    async def save(self, record: R, *, expected_revision: int) -> R:
        new = self._codec.change(record, {"revision": expected_revision + 1})
        if not await self._replace(new, expected_revision):
            await self._find(new.tenant_id, new.id)
            raise Conflict(f"the {self._codec.noun} was changed by another")
        return new

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
        return await self._increment(Increment(self._kind, tenant_id, id, amounts, at_most or {}, once))

    async def delete(self, tenant_id: str, id: str, /) -> None:
        key = {"_id": key_of(tenant_id, id)}
        with _faults():
            if self._numbers is not None:
                field = self._numbers.field
                if (numbered := await self._collection.find_one(key, {field: 1})) is None:
                    return
                await self._numbers.forget(tenant_id, numbered[field])
            await self._collection.delete_one(key)

    async def write(self, write: Write) -> None:
        if isinstance(write, Add):
            try:
                await self._add(write.record)
            except _IdTaken:
                if not write.if_absent:
                    raise
        elif isinstance(write, Save):
            await self.save(write.record, expected_revision=write.expected_revision)
        elif isinstance(write, Delete):
            await self.delete(write.tenant_id, write.id)
        else:
            await self._increment(write)

    async def close(self) -> None:
        if self._numbers is not None:
            await self._numbers.close()

    # ---- how

    async def _add(self, record: R) -> R:
        new = self._codec.change(record, {"revision": 1})
        with _faults():
            document = to_document(self._codec, new)
            if self._numbers is None:
                await self._collection.insert_one(document)
                return new
            number = await self._numbers.add(document)
        return self._codec.change(new, {self._numbers.field: number})

    async def _replace(self, record: R, expected_revision: int, beside: Mapping[str, object] | None = None) -> bool:
        """Write a record over that of a revision; tell whether there was one."""
        with _faults():
            document = to_document(self._codec, record)
            key, revision = document.pop("_id"), document.pop("revision")
            # Fields are set in their order. The revision is the last, so that on a server whose readers see a change
            # half done, whoever saw it so holds a revision that is no more, and cannot write.
            change = {"$set": document | dict(beside or {}) | {"revision": revision}}
            done = await self._collection.update_one({"_id": key, "revision": expected_revision}, change)
        return done.matched_count > 0

    async def _increment(self, increment: Increment) -> R:
        with _faults():
            once = None if increment.once is None else _once_name(increment.once)
        for attempt in range(_TRIES_MAX):
            if (after := await self._increment_fields(increment, once)) is not None:
                return after
            # Those of one process who keep losing line up, so that they lose to other processes alone.
            async with self._line if attempt > _FREE_TRIES else contextlib.nullcontext():
                after = await self._increment_whole(increment, once)
            if after is not None:
                return after
        raise Conflict(f"the {self._codec.noun} was changed by others again and again")

    async def _increment_whole(self, increment: Increment, once: str | None) -> R | None:
        """Read the record, add, and write it; None where another changed it meanwhile."""
        document = await self._find(increment.tenant_id, increment.id)
        record = self._decoded(document)
        if once is not None and once in document.get(_ONCE, ()):
            return record
        new = self._codec.add_to(record, increment.amounts)
        for field, most in increment.at_most.items():
            if getattr(new, field) > most:
                raise Conflict(f"{field} of the {self._codec.noun} would be more than {most}")
        remembered = {} if once is None else {f"{_ONCE}.{once}": True}
        if not await self._replace(new, record.revision, remembered):
            return None
        await self._forget_once(document)
        return new

    async def _increment_fields(self, increment: Increment, once: str | None) -> R | None:
        """
        Let the server add, where that is all there is to do.

        Returns:
            The record after it, or None where it was not done: a limit or `once` is in the way, a field is not in the
            document yet, or what is derived or unique would have to change with it.
        """
        if self._codec.derived or any(field in increment.amounts for group in self._kind.unique for field in group):
            return None
        filters: list[Document] = [{"_id": key_of(increment.tenant_id, increment.id)}]
        filters += [{field: {"$gte": INTEGER_MIN}} for field in increment.amounts]
        for field, most in increment.at_most.items():
            room = most - increment.amounts.get(field, 0)
            filters.append({field: {"$lte": min(max(room, INTEGER_MIN), INTEGER_MAX)}})
        change: Document = {}
        if once is not None:
            filters.append({f"{_ONCE}.{once}": None})
            change["$set"] = {f"{_ONCE}.{once}": True}
        change["$inc"] = {**increment.amounts, "revision": 1}  # the revision last: see _replace
        with _faults():
            # The document as it was: not every server tells exactly how it is after, when others change it too.
            document = await self._collection.find_one_and_update(all_of(filters), change)
        if document is None:
            return None
        await self._forget_once(document)
        return self._codec.add_to(self._decoded(document), increment.amounts)

    async def _forget_once(self, document: Document) -> None:
        """Drop the oldest `once` keys of a document, if there are many: they stand in the order in which they came."""
        keys = list(document.get(_ONCE, ()))
        if len(keys) > ONCE_KEYS_KEPT + _ONCE_KEYS_SLACK:
            oldest = {f"{_ONCE}.{key}": "" for key in keys[:-ONCE_KEYS_KEPT]}
            with _faults():
                await self._collection.update_one({"_id": document["_id"]}, {"$unset": oldest})

    async def _find(self, tenant_id: str, identifier: str) -> Document:
        with _faults():
            document = await self._collection.find_one({"_id": key_of(tenant_id, identifier)})
        if document is None:
            raise NotFound(self._codec.noun)
        return document

    async def _read(self, filters: Sequence[Document], stretch: Stretch, limit: int) -> builtins.list[R]:
        matching = all_of([*filters, *stretch_filters(stretch)])
        with _faults():
            documents = await self._collection.find(matching).sort(stretch_sort(stretch)).limit(limit).to_list()
        return [self._decoded(document) for document in documents]

    def _decoded(self, document: Document) -> R:
        return from_document(self._codec, document)


class _IdTaken(Conflict):
    """There is a record with this id."""


def _once_name(once: str) -> str:
    """Give a key as the name of a field: short, and of letters and digits."""
    return hashlib.blake2b(once.encode(), digest_size=12).hexdigest()


@contextmanager
def _faults() -> Iterator[None]:
    """Say what goes wrong in the port's words."""
    try:
        yield
    except (UnicodeEncodeError, OverflowError) as error:
        raise unkeepable(error) from error
    except DocumentTooLarge as error:
        raise _too_large() from error
    except DuplicateKeyError as error:
        raise _taken(error) from error
    except OperationFailure as error:
        raise _refused(error) from error
    except PyMongoError as error:
        raise StoreUnavailable("database") from error


def _refused(error: OperationFailure) -> LighterageError:
    details = error.details or {}
    codes = {error.code, *(one.get("code") for one in details.get("writeErrors", ()))}
    if _OUT_OF_DISK_SPACE in codes:
        return StoreFull()
    return _too_large() if _OBJECT_TOO_LARGE in codes else StoreUnavailable("database")


def _too_large() -> InvalidValue:
    return InvalidValue("a record must not be larger than 16 MB", reason="too_large")


def _taken(error: DuplicateKeyError) -> LighterageError:
    kind = _IdTaken if index_of_duplicate(str(error)) == "_id_" else Conflict
    return kind("another record has this id or one of its unique values")
