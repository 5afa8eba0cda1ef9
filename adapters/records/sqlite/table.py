"""The writes of one table, as what runs in a transaction of the writer."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic

from adapters.records.codec import ONCE_KEYS_KEPT, Codec, Stored, unkeepable
from adapters.records.sqlite.draft import Draft
from adapters.records.sqlite.query import quoted
from adapters.records.sqlite.schema import last_number, save_number
from domain.errors import Conflict, NotFound
from domain.records import Increment, Kind, R

_HAD_ONCE = 'SELECT 1 FROM "_once" WHERE "kind" = ? AND "tenant_id" = ? AND "id" = ? AND "key" = ?'
_REMEMBER = (
    'INSERT INTO "_once" ("kind", "tenant_id", "id", "key", "revision") VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'
)
_FORGET = 'DELETE FROM "_once" WHERE "kind" = ? AND "tenant_id" = ? AND "id" = ?'


class Table(Generic[R]):
    """The writes of one table. What these methods return or do runs in a transaction of the writer, and there alone."""

    def __init__(self, kind: Kind[R], connection: sqlite3.Connection, draft: Draft) -> None:
        self.codec = Codec(kind)
        self._kind = kind
        self._connection = connection
        self._draft = draft
        table, fields = quoted(kind.name), [quoted(field) for field in self.codec.fields]
        columns = ['"tenant_id"', '"id"', '"revision"', '"_document"', *fields]
        key = '"tenant_id" = ? AND "id" = ?'
        self._fields = fields
        self._unique = {field for group in kind.unique for field in group}
        self._insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        self._insert_if_absent = self._insert + ' ON CONFLICT ("tenant_id", "id") DO NOTHING'
        self._compare = f"SELECT {', '.join(columns[2:3] + fields)} FROM {table} WHERE {key}"  # noqa: S608
        self._updates: dict[tuple[int, ...], str] = {}
        self._get = f'SELECT "_document" FROM {table} WHERE {key}'  # noqa: S608
        self._delete = f"DELETE FROM {table} WHERE {key}"  # noqa: S608

    def add(self, record: R, *, if_absent: bool = False) -> Callable[[], R]:
        insert = self._insert_if_absent if if_absent else self._insert
        sequence = self._kind.sequence
        if sequence is None:
            new = self.codec.at_revision(record, 1)
            row = self._row(new)

            def do() -> R:
                self._run(insert, [new.tenant_id, new.id, *row])
                return new

        else:

            def do() -> R:
                new = self.codec.change(record, {"revision": 1, sequence: self._next_number(record.tenant_id)})
                self._run(insert, [new.tenant_id, new.id, *self._row(new)])
                return new

        return do

    def save(self, record: R, expected_revision: int, *, revision: int | None = None) -> Callable[[], R]:
        """
        Replace a record that is at `expected_revision`.

        Args:
            revision: What it is at afterwards, where that is not the next one.
        """
        new = self.codec.at_revision(record, revision or expected_revision + 1)
        document, values = self.codec.encode(new), self.codec.values(new)

        def do() -> R:
            self._draft.settle(self._key(new.tenant_id, new.id))
            rows = self._run(self._compare, (new.tenant_id, new.id)).fetchall()
            if not rows:
                raise NotFound(self.codec.noun)
            found, *old = rows[0]
            if found != expected_revision:
                raise Conflict(f"the {self.codec.noun} was changed by another")
            self._replace(new, document, values, old)
            return new

        return do

    def increment(self, increment: Increment) -> R:
        """Add to a record, which is written down when the transaction ends: many in one add to the same."""
        key = self._key(increment.tenant_id, increment.id)
        written, record = self._draft.find(key) or self._read(increment.tenant_id, increment.id)
        new = self.codec.add_to(record, increment.amounts)
        self.codec.check_numbers(new, increment.amounts)
        excess = next((name for name, most in increment.at_most.items() if getattr(new, name) > most), None)
        if increment.once is not None and not self._is_first(new, increment.once, is_refused=excess is not None):
            return record
        if excess is not None:
            raise Conflict(f"{excess} of the {self.codec.noun} would be more than {increment.at_most[excess]}")
        self._draft.put(key, (written, new), self._write_down)
        if not self._unique.isdisjoint(increment.amounts):
            self._draft.settle(key)  # whether the value is free is this write's own affair
        return new

    def _read(self, tenant_id: str, identifier: str) -> tuple[R, R]:
        """Give a record twice: as it is in the database, and as it stands in this transaction."""
        rows = self._run(self._get, (tenant_id, identifier)).fetchall()
        if not rows:
            raise NotFound(self.codec.noun)
        record = self.codec.decode(rows[0][0])
        return record, record

    def _write_down(self, versions: tuple[R, R]) -> None:
        written, new = versions
        self._replace(new, self.codec.encode(new), self.codec.values(new), self.codec.values(written))
        self._draft.note(self._key(new.tenant_id, new.id), (new, new))

    def _next_number(self, tenant_id: str) -> int:
        key = self._kind.name, tenant_id
        last = self._draft.find(key)
        number = 1 + (last_number(self._connection, self._kind, tenant_id) if last is None else last)
        self._draft.put(key, number, partial(save_number, self._connection, self._kind, tenant_id))
        return number

    def delete(self, tenant_id: str, identifier: str) -> None:
        self._draft.settle(self._key(tenant_id, identifier))
        self._run(self._delete, [tenant_id, identifier])
        self._run(_FORGET, [self._kind.name, tenant_id, identifier])

    def _replace(self, new: R, document: bytes, values: Sequence[Stored], old: Sequence[Stored]) -> None:
        """Write over a record. Columns that stay are left out, since SQLite writes every index that is mentioned."""
        changed = tuple(index for index, (one, other) in enumerate(zip(values, old, strict=True)) if one != other)
        update = self._updates.get(changed) or self._update(changed)
        fresh = [values[index] for index in changed]
        self._run(update, [new.revision, document, *fresh, new.tenant_id, new.id])

    def _update(self, changed: tuple[int, ...]) -> str:
        columns = ['"revision"', '"_document"', *(self._fields[index] for index in changed)]
        assignments = ", ".join(f"{column} = ?" for column in columns)
        update = f'UPDATE {quoted(self._kind.name)} SET {assignments} WHERE "tenant_id" = ? AND "id" = ?'  # noqa: S608
        self._updates[changed] = update
        return update

    def _is_first(self, record: R, once: str, *, is_refused: bool) -> bool:
        """Tell whether an increment has not happened under this key; unless it is refused, now it has."""
        key = [self._kind.name, record.tenant_id, record.id, once]
        if is_refused:
            return not self._run(_HAD_ONCE, key).fetchall()
        if not self._run(_REMEMBER, [*key, record.revision]).rowcount:
            return False
        if record.revision % ONCE_KEYS_KEPT == 0:
            self._run(_FORGET + ' AND "revision" <= ?', [*key[:3], record.revision - ONCE_KEYS_KEPT])
        return True

    def _key(self, tenant_id: str, identifier: str) -> tuple[str, str, str]:
        return self._kind.name, tenant_id, identifier

    def _row(self, record: R) -> list[Stored | bytes]:
        return [record.revision, self.codec.encode(record), *self.codec.values(record)]

    def _run(self, sql: str, parameters: Sequence[Stored | bytes]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, parameters)
        except (UnicodeEncodeError, OverflowError) as error:
            raise unkeepable(error) from error
