"""
The tables of a SQLite database, made and changed to fit the declared kinds.

A table holds each record as a document, and beside it what is declared as columns without a type (SQLite then keeps
values as they are). It only ever gains columns, so a release that went back finds its own.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from adapters.records.codec import Codec
from adapters.records.sqlite.query import quoted
from domain.records import Kind

# Names of our own start with an underscore, which no kind or field does.
_OWN_TABLES = {
    "_state": '"name" PRIMARY KEY, "value"',
    "_sequence": '"kind", "tenant_id", "last", PRIMARY KEY ("kind", "tenant_id")',
    "_once": '"kind", "tenant_id", "id", "key", "revision", PRIMARY KEY ("kind", "tenant_id", "id", "key")',
}


def fit(connection: sqlite3.Connection, kinds: Sequence[Kind[Any]]) -> None:
    """Make the tables fit; to be called in a transaction."""
    for name, columns in _OWN_TABLES.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(name)} ({columns}) WITHOUT ROWID")
    for kind in kinds:
        codec = Codec(kind)
        _fit_columns(connection, codec)
        _fit_indexes(connection, kind)


def _fit_columns(connection: sqlite3.Connection, codec: Codec[Any]) -> None:
    table = quoted(codec.kind.name)
    there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    if not there:
        columns = "".join(f", {quoted(field)}" for field in codec.fields)
        # Without rowid, a record is found by its key in one tree, and indexes end with the key by themselves.
        connection.execute(
            f'CREATE TABLE {table} ("tenant_id" NOT NULL, "id" NOT NULL, "revision" NOT NULL, "_document" NOT NULL'
            f'{columns}, PRIMARY KEY ("tenant_id", "id")) WITHOUT ROWID'
        )
        return
    missing = [field for field in codec.fields if field not in there]
    for field in missing:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(field)}")
    if missing:
        _fill(connection, codec)


def _fill(connection: sqlite3.Connection, codec: Codec[Any]) -> None:
    """Write every column anew from the documents, which also brings what an older release derived otherwise."""
    table = quoted(codec.kind.name)
    assignments = ", ".join(f"{quoted(field)} = ?" for field in codec.fields)
    update = f'UPDATE {table} SET "_document" = ?, {assignments} WHERE "tenant_id" = ? AND "id" = ?'  # noqa: S608
    for record in _all(connection, codec):
        if codec.kind.sequence is not None and getattr(record, codec.kind.sequence) == 0:
            number = last_number(connection, codec.kind, record.tenant_id) + 1
            save_number(connection, codec.kind, record.tenant_id, number)
            record = codec.change(record, {codec.kind.sequence: number})  # noqa: PLW2901
        connection.execute(update, [codec.encode(record), *codec.values(record), record.tenant_id, record.id])


def _all(connection: sqlite3.Connection, codec: Codec[Any]) -> Iterator[Any]:
    """Yield every record by its key, so that what the caller writes meanwhile does no harm."""
    page = (
        f'SELECT "tenant_id", "id", "_document" FROM {quoted(codec.kind.name)}'  # noqa: S608
        ' WHERE ("tenant_id", "id") > (?, ?) ORDER BY "tenant_id", "id" LIMIT 1000'
    )
    place = ("", "")
    while rows := connection.execute(page, place).fetchall():
        for tenant_id, identifier, document in rows:
            place = tenant_id, identifier
            yield codec.decode(document)


def _fit_indexes(connection: sqlite3.Connection, kind: Kind[Any]) -> None:
    wanted = {f"{kind.name}.by.{'.'.join(group)}": ("INDEX", group) for group in kind.indexes}
    wanted |= {f"{kind.name}.only.{'.'.join(group)}": ("UNIQUE INDEX", group) for group in kind.unique}
    if kind.sequence is not None:
        wanted[f"{kind.name}.by.{kind.sequence}"] = ("INDEX", (kind.sequence,))
    there = {row[1] for row in connection.execute(f"PRAGMA index_list({quoted(kind.name)})") if row[3] == "c"}
    for name in there - wanted.keys():
        connection.execute(f"DROP INDEX {quoted(name)}")
    for name in wanted.keys() - there:
        make, group = wanted[name]
        fields = ["tenant_id", *group] if make != "INDEX" or "id" in group else ["tenant_id", *group, "id"]
        columns = ", ".join(quoted(field) for field in fields)
        # A unique group with a None in it is free, so that it needs no entry.
        where = " WHERE " + " AND ".join(f"{quoted(field)} IS NOT NULL" for field in group) if make != "INDEX" else ""
        connection.execute(f"CREATE {make} {quoted(name)} ON {quoted(kind.name)} ({columns}){where}")


def last_number(connection: sqlite3.Connection, kind: Kind[Any], tenant_id: str) -> int:
    """Give the last number that was taken of a kind's sequence; to be called in a transaction."""
    last = 'SELECT "last" FROM "_sequence" WHERE "kind" = ? AND "tenant_id" = ?'
    row = connection.execute(last, (kind.name, tenant_id)).fetchone()
    return row[0] if row else 0


def save_number(connection: sqlite3.Connection, kind: Kind[Any], tenant_id: str, number: int) -> None:
    """Record that numbers up to this one are taken; in the same transaction."""
    save = 'INSERT INTO "_sequence" VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "last" = excluded."last"'
    connection.execute(save, (kind.name, tenant_id, number))
