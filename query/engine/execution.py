"""
One query over one source: parts are read, run by two threads, and written in the order of the file.

The engine sees one part at a time. That is what gives the order, the bound on memory, the early end of LIMIT, the exact
place of a bad record, and one way for CSV and JSON, plain and compressed, local and remote.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

import duckdb

from query.aggregates import Aggregation
from query.dialect.check import Query, Shape
from query.engine.connection import EngineFault, Interrupted, row, stream
from query.engine.frames import ROWS_BYTES
from query.errors import QueryError
from query.formats import OutputFormat
from query.lower import SCALE_NARROW, SCALE_WIDE, Lowering, Setting
from query.readers import RECORD_BYTES_MAX, Part, Slot
from query.records import Writing, record_sql
from query.views import Nothing, View

_T = TypeVar("_T")
_FROM: Final = "\0FROM\0"  # stands for FROM until the source is known; no SQL holds a NUL
_HELD_BYTES_MAX: Final = 16 << 20  # results of a part whose turn has not come


class Sink(Protocol):
    """Takes records in order; may block."""

    def __call__(self, count: int, text: memoryview) -> None: ...


class Reader(Protocol):
    """A file in parts, and how the engine reads a part."""

    @property
    def processed_bytes(self) -> int: ...
    def shape(self) -> Shape: ...
    def fill(self, slot: Slot) -> Part | None: ...
    def view(self, slot: Slot, part: Part) -> View: ...


@dataclass(frozen=True, slots=True)
class Job:
    """A checked query with what it needs to run."""

    sql: str
    query: Query
    output: OutputFormat
    now: str


class Stopped(Exception):
    """The query was ended from outside, or has all the records it wants."""


class Execution:
    """Runs one job. `run` blocks; `stop` may be called from any thread."""

    def __init__(
        self,
        job: Job,
        reader: Reader,
        cursors: Sequence[duckdb.DuckDBPyConnection],
        sink: Sink,
        on_part: Callable[[], None] = lambda: None,
    ) -> None:
        self._job = job
        self._reader = reader
        self._cursors = cursors
        self._sink = sink
        self._on_part = on_part
        self._remaining = job.query.limit
        self._aggregation = Aggregation(job.query.outputs, job.sql) if job.query.is_aggregate else None
        self._scale = SCALE_NARROW
        self._reading = threading.Lock()
        self._turns = threading.Condition()
        self._turn = 0
        self._next_number = 0
        self._is_stopped = False
        self._fault: BaseException | None = None
        self.returned_rows = 0

    def run(self, slots: Sequence[Slot], first: tuple[Slot, Part] | None) -> None:
        """
        Run to the end.

        Args:
            slots: One for each thread; the first part, if any, lies in the first.
            first: The part that was read to learn the header.

        Raises:
            QueryError: The query failed; the records before the fault went to the sink.
            Stopped: `stop` was called.
        """
        if self._remaining == 0 and self._aggregation is None:
            return
        helpers = [
            threading.Thread(target=self._work, args=(slot, cursor, None), daemon=True)
            for slot, cursor in zip(slots[1:], self._cursors[1:], strict=False)
        ]
        number = self._take_number() if first is not None else None
        for helper in helpers:
            helper.start()
        self._work(slots[0], self._cursors[0], None if first is None or number is None else (number, first[1]))
        for helper in helpers:
            helper.join()
        if self._fault is not None:
            raise self._fault
        if self._is_stopped and self._remaining != 0:
            raise Stopped
        if self._aggregation is not None:
            self._write_aggregates(self._aggregation)

    def stop(self) -> None:
        """End the query as soon as the engine answers."""
        with self._turns:
            self._is_stopped = True
            self._turns.notify_all()
        for cursor in self._cursors:
            cursor.interrupt()

    # ---- one thread

    def _take_number(self) -> int:
        number = self._next_number
        self._next_number += 1
        return number

    def _work(self, slot: Slot, cursor: duckdb.DuckDBPyConnection, first: tuple[int, Part] | None) -> None:
        number = -1
        try:
            while not self._is_stopped:
                if first is not None:
                    number, part = first
                    first = None
                else:
                    with self._reading:
                        number = self._next_number
                        found = None if self._is_stopped else self._reader.fill(slot)
                        if found is None:
                            return
                        part = found
                        self._take_number()
                self._run_part(number, part, slot, cursor)
        except Interrupted:
            self._is_stopped = True
        except BaseException as error:  # handed to the thread that waits
            self._fail(number, error)

    def _fail(self, number: int, error: BaseException) -> None:
        # An earlier part may still be at work: its records come first, or its own fault.
        with self._turns:
            self._turns.wait_for(lambda: self._turn >= number or self._is_stopped)
            if self._fault is None and not self._is_stopped:
                self._fault = error.meaning(self._job.sql) if isinstance(error, EngineFault) else error
        self.stop()

    def _wait_turn(self, number: int) -> None:
        with self._turns:
            self._turns.wait_for(lambda: self._turn == number or self._is_stopped)
            if self._is_stopped:
                raise Interrupted

    def _pass_turn(self) -> None:
        self._on_part()
        with self._turns:
            self._turn += 1
            self._turns.notify_all()

    # ---- one part

    def _run_part(self, number: int, part: Part, slot: Slot, cursor: duckdb.DuckDBPyConnection) -> None:
        run = _PartRun(self, self._reader.view(slot, part), cursor)
        if self._aggregation is not None:
            partial = run.retrying(lambda: row(cursor, run.sql()))
            self._wait_turn(number)
            self._aggregation.add(partial)
            self._pass_turn()
            return
        held: list[tuple[memoryview, Sequence[int]]] = []
        try:
            run.retrying(lambda: self._hold(number, run, held))
        except EngineFault as fault:
            self._wait_turn(number)
            self._write_before(fault, run)
        self._pass_turn()

    def _hold(self, number: int, run: "_PartRun", held: list[tuple[memoryview, Sequence[int]]]) -> None:
        """Run the part; write at once when it is its turn, else keep the texts until it is."""
        held.clear()
        size = 0
        for text, ends in stream(run.cursor, run.sql()):
            held.append((memoryview(bytes(text[: ends[-1]])), memoryview(bytes(ends)).cast("i")))
            size += ends[-1]
            if size > _HELD_BYTES_MAX:
                self._wait_turn(number)
        self._wait_turn(number)
        for text, ends in held:
            self._write(text, ends)

    def _write_before(self, fault: EngineFault, run: "_PartRun") -> None:
        """Write the records before the bad one; raise the fault unless the limit is reached with them."""
        good = run.good_records()
        if good:
            for text, ends in stream(run.cursor, run.sql(records=good)):
                self._write(memoryview(bytes(text[: ends[-1]])), list(ends))
        raise fault

    def _write(self, text: memoryview, ends: Sequence[int]) -> None:
        """Send records on, in frames; ends the query when the limit is reached."""
        at, last = 0, len(ends) - 1
        if self._remaining is not None:
            last = min(last, self._remaining)
        while at < last:
            until = min(last, max(at + 1, bisect_right(ends, ends[at] + ROWS_BYTES, at + 1, last + 1) - 1))
            size = ends[until] - ends[at]
            if until == at + 1 and size > RECORD_BYTES_MAX:
                raise QueryError("OverMaxRecordSize")
            self._sink(until - at, text[ends[at] : ends[until]])
            self.returned_rows += until - at
            at = until
        if self._remaining is not None:
            self._remaining -= last
            if self._remaining <= 0:
                self.stop()
                raise Interrupted

    def _write_aggregates(self, aggregation: Aggregation) -> None:
        if self._remaining == 0:
            return
        query = replace(self._job.query, outputs=aggregation.results())
        lowering = Lowering(Setting(self._scale, self._job.now), Nothing())
        statement = record_sql(query, lowering, Writing(self._job.output, (), is_clean=False, is_ragged=False), "")
        try:
            for text, ends in stream(self._cursors[0], statement):
                self._sink(len(ends) - 1, memoryview(bytes(text[: ends[-1]])))
                self.returned_rows += 1
        except EngineFault as fault:
            raise fault.meaning(self._job.sql) from fault

    # ---- SQL

    def part_sql(self, view: View, records: int | None) -> str:
        """The whole statement for a view of a part; `records` bounds how many of its records are looked at."""
        query = self._job.query
        lowering = Lowering(Setting(self._scale, self._job.now), view)
        where = "" if query.where is None else f"WHERE {lowering.truth(query.where)}"
        if self._aggregation is not None:
            statement = self._aggregation.statement(lowering, f"{_FROM} {where}")
            return statement.replace(_FROM, self._from(view, records))
        writing = Writing(self._job.output, view.star(), view.is_clean(self._job.output), view.is_ragged)
        limit = "" if self._remaining is None else f"LIMIT {self._remaining}"
        # A view knows what to read when all expressions have been made.
        statement = record_sql(query, lowering, writing, f"{_FROM} {where} {limit}")
        return statement.replace(_FROM, self._from(view, records))

    def _from(self, view: View, records: int | None) -> str:
        source = view.source_sql()
        if records is not None:
            source = f"(SELECT * FROM {source} LIMIT {records})"  # noqa: S608  # built from the tree
        return f"FROM {source}"

    def widen_scale(self) -> bool:
        """Keep more fractional digits from now on; False when there are no more."""
        if self._scale == SCALE_WIDE:
            return False
        self._scale = SCALE_WIDE
        return True


class _PartRun:
    """One part and its second tries."""

    def __init__(self, execution: Execution, view: View, cursor: duckdb.DuckDBPyConnection) -> None:
        self._execution = execution
        self._view = view
        self.cursor = cursor

    def sql(self, records: int | None = None) -> str:
        return self._execution.part_sql(self._view, records)

    def retrying(self, run: Callable[[], _T]) -> _T:
        """Run; again with another view, or more fractional digits, when the engine asks for them."""
        scale_tries = 1
        while True:
            try:
                return run()
            except EngineFault as fault:
                if self._view.is_helped(str(fault)):
                    continue
                if not fault.is_inexact or scale_tries == 0:
                    raise
                # Another thread may have widened already: this part still gets its second try.
                self._execution.widen_scale()
                scale_tries -= 1

    def good_records(self) -> int:
        """How many records at the front of the part run without a fault."""
        low, high = 0, self._view.records_max
        while low < high:
            middle = (low + high + 1) // 2
            try:
                for _ in stream(self.cursor, self.sql(records=middle)):
                    pass
            except EngineFault:
                high = middle - 1
            else:
                low = middle
        return low
