"""
Records as MongoDB documents: a field for a field, so that an operator can read them.

Times are kept as text, because the server's own keep no microseconds. Names that start with an underscore are ours.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson.int64 import Int64

from adapters.records.codec import Codec, moment_text
from adapters.records.mongo.query import Document, key_of, unique_field, unique_key
from domain.records import R


def to_document(codec: Codec[R], record: R) -> Document:
    """Give the document of a record, but for what is remembered beside it."""
    key = key_of(record.tenant_id, record.id)
    document = {name: _kept(value) for name, value in codec.to_builtins(record).items()}
    values = dict(zip(codec.fields, codec.values(record), strict=True))
    # Declared fields as conditions compare them; this adds the derived ones.
    document |= values
    for group in codec.kind.unique:
        taken = unique_key(key, record.tenant_id, [values[field] for field in group])
        document[unique_field(group)] = taken
    return {"_id": key, **document}


def from_document(codec: Codec[R], document: Mapping[str, Any]) -> R:
    return codec.from_builtins({name: _given(value) for name, value in document.items() if name[0] != "_"})


def _kept(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, dict):
        return {_escaped(name): _kept(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(inner) for inner in value]
    return value


def _given(value: Any) -> Any:
    if isinstance(value, dict):
        return {_unescaped(name): _given(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_given(inner) for inner in value]
    return int(value) if isinstance(value, Int64) else value


# What servers refuse in a name, or take for a path or an operator; and the sign that escapes it.
_ESCAPES = {"%": "%25", ".": "%2E", "$": "%24", "\0": "%00"}
_ESCAPE = str.maketrans(_ESCAPES)


def _escaped(name: str) -> str:
    return name.translate(_ESCAPE)


def _unescaped(name: str) -> str:
    if "%" not in name:
        return name
    for character, escape in reversed(_ESCAPES.items()):
        name = name.replace(escape, character)
    return name
