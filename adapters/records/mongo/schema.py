"""
The indexes of a MongoDB database, made to fit the declared kinds; and documents that lack a field declared since.

Index names say what they are for, and those that are ours and no longer wanted go.
"""

from collections.abc import Sequence
from typing import Any

from pymongo import IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from adapters.records.codec import Codec
from adapters.records.mongo.document import from_document, to_document
from adapters.records.mongo.query import Document, unique_field
from domain.records import Kind

_BATCH = 1000


def sequence_index(kind: Kind[Any]) -> str:
    return f"sequence.{kind.sequence}"


async def fit(database: AsyncDatabase[Document], kinds: Sequence[Kind[Any]]) -> None:
    """Make the indexes, after every document has what they are over."""
    for kind in kinds:
        collection, known = database[kind.name], database["_state"]
        declared = sorted({*Codec(kind).fields, *map(unique_field, kind.unique)})
        state = await known.find_one({"_id": f"fields/{kind.name}"})
        if state is not None and not set(declared) <= set(state["fields"]):
            await _fill(collection, Codec(kind))
        await _fit_indexes(collection, kind)
        if state is None or state["fields"] != declared:
            await known.update_one({"_id": f"fields/{kind.name}"}, {"$set": {"fields": declared}}, upsert=True)


async def _fill(collection: AsyncCollection[Document], codec: Codec[Any]) -> None:
    """
    Write the declared fields of every document anew, unless another is faster: who saves writes them too.

    Several processes may do it at once, but for a sequence that was declared since: that is for one alone.
    """
    sequence, last_numbers = codec.kind.sequence, dict[str, int]()
    last = ""
    while True:
        documents = await collection.find({"_id": {"$gt": last}}).sort("_id").limit(_BATCH).to_list()
        for document in documents:
            record = from_document(codec, document)
            if sequence is not None and getattr(record, sequence) == 0:
                number = await _last_number(collection, record.tenant_id, sequence, last_numbers) + 1
                last_numbers[record.tenant_id] = number
                record = codec.change(record, {sequence: number})
            fresh = to_document(codec, record)
            await collection.update_one({"_id": fresh.pop("_id"), "revision": record.revision}, {"$set": fresh})
        if len(documents) < _BATCH:
            return
        last = documents[-1]["_id"]


async def _last_number(
    collection: AsyncCollection[Document], tenant_id: str, sequence: str, known: dict[str, int]
) -> int:
    if tenant_id not in known:
        numbered = {"tenant_id": tenant_id, sequence: {"$gt": 0}}
        newest = await collection.find_one(numbered, {sequence: 1}, sort=[(sequence, -1)])
        known[tenant_id] = newest[sequence] if newest else 0
    return known[tenant_id]


async def _fit_indexes(collection: AsyncCollection[Document], kind: Kind[Any]) -> None:
    wanted = [_index("by", ["tenant_id", *group, "id"], group) for group in (("id",), *kind.indexes)]
    wanted += [
        IndexModel([(unique_field(group), 1)], name=f"unique.{'.'.join(group)}", unique=True) for group in kind.unique
    ]
    if kind.sequence is not None:
        fields = [("tenant_id", 1), (kind.sequence, 1)]
        wanted.append(IndexModel(fields, name=sequence_index(kind), unique=True))
    names = {index.document["name"] for index in wanted}
    for name in await collection.index_information():
        if name.split(".")[0] in ("by", "unique", "sequence") and name not in names:
            await collection.drop_index(name)
    await collection.create_indexes(wanted)


def _index(use: str, fields: Sequence[str], group: Sequence[str]) -> IndexModel:
    return IndexModel([(field, 1) for field in dict.fromkeys(fields)], name=f"{use}.{'.'.join(group)}")
