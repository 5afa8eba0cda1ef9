"""
JSON files in parts of one value a line, and how the engine sees such a part.

LINES are cut at line ends; a DOCUMENT is cut between its values by a scanner that knows strings and brackets and
nothing else. What a value holds is the engine's to read.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from query.dialect.check import Documents, Output
from query.dialect.nodes import Column, Name, Step, Type, Wildcard
from query.errors import QueryError
from query.formats import InputFormat, JsonType, OutputFormat
from query.readers import PART_BYTES_FIRST, PART_BYTES_MAX, RECORD_BYTES_MAX, Part, Slot
from query.streams import Stream
from query.views import ABSENT, pointer, quoted, step_sql, unnest_sql

DOCUMENT_BYTES_MAX: Final = 32 << 20  # S3 Select stops at 1 MB a record; a whole document may be somewhat larger here
NESTING_MAX: Final = 1000  # of a document; S3 Select does not say its own
_SAMPLE_BYTES: Final = 1 << 16
_DESCRIBED_RECORDS: Final = 100
_TYPE_OF: Final = {str: Type.STRING, bool: Type.BOOL, int: Type.INT, float: Type.FLOAT}
_BOM: Final = b"\xef\xbb\xbf"
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_START = re.compile(rb"\s*+(?:([\[{])|(" + _STRING + rb'|[^\s\[\]{}",:]++)|(.))', re.DOTALL)
_NESTED = re.compile(_STRING + rb'|[\[\]{}]|"', re.DOTALL)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_ .-]+")
_NOTHING_THERE: Final = b"\x02"  # the line of a record that is missing


class ValueSplitter:
    """
    Finds the whole values at the front of some bytes.

    With `is_unwrapped` the values are the elements of the arrays at the root.
    """

    def __init__(self, *, is_unwrapped: bool) -> None:
        self._is_unwrapped = is_unwrapped
        self._is_inside = False
        self._has_element = False

    def split(self, data: bytes, *, is_last: bool) -> tuple[list[bytes], int]:
        """
        Cut off the whole values.

        Returns:
            The values without line ends, and how many bytes they took.
        """
        values: list[bytes] = []
        at = 0
        while True:
            match = _START.match(data, at)
            if match is None:
                return values, len(data)
            if match[3] is not None or (match[1] == b"[" and self._opens(match)):
                at = self._mark(match, values)
                continue
            end = self._end_of(data, match) if match[1] else match.end()
            if end is None or (end == len(data) and not is_last and not match[1]):
                if is_last:
                    raise QueryError("JSONParsingError", "the file ends inside a value")
                return values, at
            self._has_element = True
            values.append(data[match.start(1 if match[1] else 2) : end].replace(b"\n", b" ").replace(b"\r", b" "))
            at = end

    def _opens(self, _match: re.Match[bytes]) -> bool:
        return self._is_unwrapped and not self._is_inside

    def _mark(self, match: re.Match[bytes], values: list[bytes]) -> int:
        if match[1] == b"[":
            self._is_inside, self._has_element = True, False
        elif self._is_inside and match[3] == b"]":
            self._is_inside = False
            if not self._has_element:
                values.append(_NOTHING_THERE)
        elif not (self._is_inside and match[3] == b"," and self._has_element):
            raise QueryError("JSONParsingError")
        return match.end()

    def _end_of(self, data: bytes, match: re.Match[bytes]) -> int | None:
        depth = 0
        for token in _NESTED.finditer(data, match.start(1)):
            mark = token[0]
            if mark in (b"{", b"["):
                depth += 1
                if depth > NESTING_MAX:
                    raise QueryError("JSONParsingError", f"values are nested deeper than {NESTING_MAX} levels")
            elif mark in (b"}", b"]"):
                depth -= 1
                if depth == 0:
                    return token.end()
            elif mark == b'"':
                return None
        return None


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What a query needs of JSON records.

    Attributes:
        unnest: The path of FROM.
        names: All steps by name.
        needs_row: The whole record is used, not only places in it.
        tells_null: NULL must be told from MISSING.
    """

    unnest: tuple[Step, ...]
    names: frozenset[Name]
    needs_row: bool
    tells_null: bool


class JsonReader:
    """Cuts JSON into parts. `fill` is called by one thread at a time."""

    def __init__(self, stream: Stream, format: InputFormat, wanted: Wanted) -> None:  # the word of the field
        self._stream = stream
        self._is_lines = format.json_type is JsonType.LINES
        self._wanted = wanted
        self._rest = b""
        self._target = PART_BYTES_FIRST
        self._is_ended = False
        self._splitter: ValueSplitter | None = None
        self.processed_bytes = 0
        self.is_unwrapped = False
        self.always_checks = False

    def shape(self) -> Documents:
        return Documents()

    @property
    def wanted(self) -> Wanted:
        return self._wanted

    def fill(self, slot: Slot) -> Part | None:
        """Put the next part into the slot; None when the file is at its end."""
        while True:
            size = self._read(slot)
            if size == 0:
                return None
            end = self._lines_end(slot, size) if self._is_lines else self._split(slot, size)
            self.processed_bytes += end
            if slot.size:
                return Part(end)

    def _read(self, slot: Slot) -> int:
        slot.make_room()
        size = len(self._rest)
        slot.grow(self._target + RECORD_BYTES_MAX)
        slot.map[:size] = self._rest
        self._rest = b""
        with memoryview(slot.map) as view:
            while size < self._target and not self._is_ended:
                count = self._stream.read_into(view[size : self._target])
                self._is_ended = count == 0
                size += count
        if self.processed_bytes == 0 and slot.map[:3] == _BOM:
            slot.map[:3] = b"   "
        self._target = min(self._target * 2, PART_BYTES_MAX)
        return size

    def _lines_end(self, slot: Slot, size: int) -> int:
        end = size if self._is_ended else slot.map.rfind(b"\n", 0, size) + 1
        if size - end > RECORD_BYTES_MAX:
            raise QueryError("OverMaxRecordSize")
        self._rest = slot.map[end:size]
        if slot.map.find(b"\r", 0, end) >= 0:
            slot.replace(slot.map[:end].replace(b"\r", b" "))
        else:
            slot.set_size(end)
        return end

    def _split(self, slot: Slot, size: int) -> int:
        data = slot.map[:size]
        if self._splitter is None:
            steps = self._wanted.unnest
            is_array = data.lstrip().startswith(b"[")
            self.is_unwrapped = is_array and bool(steps) and isinstance(steps[0], Wildcard) and steps[0].is_array
            self._splitter = ValueSplitter(is_unwrapped=self.is_unwrapped)
        values, end = self._splitter.split(data, is_last=self._is_ended)
        self._rest = data[end:]
        if not values and not self._is_ended:
            if size >= DOCUMENT_BYTES_MAX:
                raise QueryError("OverMaxRecordSize")
            self._target = max(self._target, min(2 * size, DOCUMENT_BYTES_MAX))
        slot.replace(b"\n".join(values))
        return end

    def view(self, slot: Slot, part: Part) -> "JsonView":
        return JsonView(self, slot)


def described(slot: Slot) -> tuple[Output, ...]:
    """The keys of the first records, in the order in which they come, as columns with their types."""
    kinds: dict[str, set[Type]] = {}
    for line in slot.map[: min(slot.size, _SAMPLE_BYTES)].split(b"\n")[:_DESCRIBED_RECORDS]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue  # cut off by the end of the sample, or a fault that a query will name
        if isinstance(record, dict):
            for key, value in record.items():
                kinds.setdefault(key, set()).update([] if value is None else [_TYPE_OF.get(type(value), Type.JSON)])
    return tuple(
        Output(key, Column(0, index, key, next(iter(found)) if len(found) == 1 else Type.JSON))
        for index, (key, found) in enumerate(kinds.items())
    )


class JsonView:
    """
    A part of JSON lines.

    The fast form lets the engine's JSON reader pick the keys; the other reads lines and looks into each. A key that was
    written without quotes fits any spelling: the one that is found in a sample is tried, and a record without it makes
    the whole part be searched.
    """

    def __init__(self, reader: JsonReader, slot: Slot) -> None:
        self._reader = reader
        self._slot = slot
        self._keys: dict[str, bool] = {}
        self._pointers: list[str] = []
        self._texts: list[str] = []
        self._text_keys: set[str] = set()
        self._json_keys: set[str] = set()
        self._spellings: dict[str, str | None] = {}
        self._is_checked = reader.always_checks
        self._has_escapes = slot.map.find(b"\\", 0, slot.size) >= 0
        self._is_split = False
        wanted = reader.wanted
        self._is_fast = not (wanted.unnest or wanted.needs_row)
        if self._is_fast and wanted.tells_null and slot.map.find(b"null", 0, slot.size) >= 0:
            self._is_fast = False
        self._look()

    def _look(self) -> None:
        """See how the keys are written; in several ways, or hidden ones, only the slower form finds them."""
        names = self._reader.wanted.names
        spellings = {name.text if name.is_exact else self._spelling(name) for name in names}
        # The engine's columns have no case, so that keys which differ only in it cannot be columns.
        folded = {spelling.lower() for spelling in spellings if spelling is not None}
        self._is_fast = self._is_fast and None not in spellings and len(folded) == len(spellings)

    def column(self, node: Column) -> str:
        raise AssertionError(node)

    def member(self, steps: Sequence[Step]) -> str:
        first = steps[0] if steps else None
        if not self._is_fast or not isinstance(first, Name):
            return self._found("j", steps)
        spelling = self._spelling(first)
        assert spelling is not None, "the fast form was not to be taken"
        self._keys.setdefault(spelling, True)
        self._json_keys.add(spelling)
        if not first.is_exact and not self._is_checked:
            self._keys[spelling] = False
        return self._found(f"k{list(self._keys).index(spelling)}", steps[1:])

    def member_text(self, steps: Sequence[Step]) -> str:
        # The engine shares nothing between the branches of a CASE, and casts are made of them: the text gets
        # a name of its own below.
        first = steps[0] if steps else None
        if self._is_fast and len(steps) == 1 and isinstance(first, Name):
            spelling = self._spelling(first)
            assert spelling is not None, "the fast form was not to be taken"
            self._text_keys.add(spelling)
            if not first.is_exact and not self._is_checked:
                self._keys[spelling] = False
            self._keys.setdefault(spelling, True)
            return f"x{list(self._keys).index(spelling)}"
        value = self.member(steps)
        if value not in self._texts:
            self._texts.append(value)
        return f"t{self._texts.index(value)}"

    def json_text(self, value: str) -> str:
        if self._is_fast and not self._has_escapes:
            # What is between the quotes is the text, and the engine's reader gives no null.
            return f"trim(CAST({value} AS VARCHAR), '\"')"
        return f"s3_json_text({value})"

    def _found(self, value: str, steps: Sequence[Step]) -> str:
        path = ""
        for step in steps:
            spelling = self._spelling(step) if isinstance(step, Name) else None
            if isinstance(step, Name) and spelling is not None:
                path += pointer(spelling)
                continue
            value, path = self._extracted(value, path), ""
            value = step_sql(value, step)
        return self._extracted(value, path)

    def _extracted(self, value: str, path: str) -> str:
        if not path:
            return value
        if value != "j" or self._reader.wanted.unnest:
            return f"json_extract({value}, {quoted(path)})"
        # All places of a record are found in one pass over its text.
        if path not in self._pointers:
            self._pointers.append(path)
        return f"v[{self._pointers.index(path) + 1}]"

    def _spelling(self, name: Name) -> str | None:
        """How the key is written in this part; None when that must be found record by record."""
        if name.is_exact:
            return name.text
        key = name.text
        if key not in self._spellings:
            self._spellings[key] = self._search(key)
        return self._spellings[key]

    def _search(self, key: str) -> str | None:
        size = self._slot.size
        data = self._slot.map[: size if self._is_checked or not self._is_fast else min(size, _SAMPLE_BYTES)]
        if not _PLAIN_KEY.fullmatch(key) or b"\\u" in data:
            return None
        needle = b'"' + key.lower().encode() + b'"'
        found = set(_occurrences(data, needle))
        if len(found) > 1:
            return None
        return found.pop() if found else key

    def source_sql(self) -> str:
        if not self._is_fast:
            return self._lines_sql()
        keys = self._keys or {"lighterage": True}
        # A key of which only the text is wanted comes from the engine's reader as text.
        kinds = {key: "JSON" if key in self._json_keys else "VARCHAR" for key in keys}
        columns = ", ".join(f"{quoted(key)}: '{kind}'" for key, kind in kinds.items())
        names = ", ".join(f"k{index}" for index in range(len(keys)))
        source = (
            f"read_json({quoted(self._slot.path)}, columns = {{{columns}}}, format = 'newline_delimited', "
            f"records = 'true', maximum_object_size = {self._slot.size + 16}) AS t({names})"
        )
        wanted: list[str] = []
        for index, (key, may_lack) in enumerate(keys.items()):
            # A record without the key may have it in another spelling.
            value = f"k{index}" if may_lack else f"s3_present(k{index})"
            wanted.append(f"{value} AS k{index}")
            if key in self._text_keys:
                wanted.append(f"{value if kinds[key] == 'VARCHAR' else self.json_text(value)} AS x{index}")
        return self._with_texts(f"(SELECT {', '.join(wanted)} FROM {source})")  # noqa: S608  # no text of the user

    def _with_texts(self, source: str) -> str:
        if not self._texts:
            return source
        texts = ", ".join(f"{self.json_text(value)} AS t{number}" for number, value in enumerate(self._texts))
        return f"(SELECT *, {texts} FROM {source})"  # noqa: S608  # no text of the user

    def _lines_sql(self) -> str:
        size = max(self._slot.size, PART_BYTES_MAX) + 16
        # No text of JSON holds this control character, so a line is one field.
        source = (
            f"read_csv({quoted(self._slot.path)}, columns = {{'j': 'VARCHAR'}}, delim = '\x1f', quote = '', "
            f"escape = '', nullstr = '{_NOTHING_THERE.decode()}', new_line = '\\n', auto_detect = false, "
            f"header = false, parallel = false, strict_mode = true, max_line_size = {size}, buffer_size = {size})"
        )
        where = "j IS NULL OR (trim(j) <> '' AND s3_is_json(j))"
        source = f"(SELECT j FROM {source} WHERE {where})"  # noqa: S608  # no text of the user
        steps = self._reader.wanted.unnest
        source = unnest_sql(source, steps[1:] if self._reader.is_unwrapped else steps)
        if self._pointers:
            places = ", ".join(quoted(path) for path in self._pointers)
            source = f"(SELECT j, json_extract(j, [{places}]) AS v FROM {source})"  # noqa: S608  # literals only
        return self._with_texts(source)

    def star(self) -> tuple[Output, ...] | None:
        return None

    def is_clean(self, output: OutputFormat) -> bool:
        # Without escapes no text holds a line end.
        return self._is_fast and not self._has_escapes and output.record_delimiter in ("\n", "\r\n")

    @property
    def is_ragged(self) -> bool:
        return False

    def is_helped(self, fault: str) -> bool:
        self._keys.clear()
        self._pointers.clear()
        self._texts.clear()
        self._text_keys.clear()
        self._json_keys.clear()
        self._spellings.clear()
        if ABSENT in fault:
            self._is_checked = self._reader.always_checks = True
            self._look()
            return True
        if self._is_fast and "JSON transform error" in fault:
            self._is_fast = False
            return True
        if not self._is_split and ("Malformed JSON" in fault or "S3:JSONParsingError" in fault):
            return self._split()
        return False

    def _split(self) -> bool:
        """Several values on a line, or one over several, are still JSON."""
        self._is_split = True
        try:
            values, _ = ValueSplitter(is_unwrapped=False).split(self._slot.map[: self._slot.size], is_last=True)
        except QueryError:
            return False
        self._slot.replace(b"\n".join(values))
        return True

    @property
    def records_max(self) -> int:
        if self._reader.wanted.unnest:
            # Every record takes a comma, a bracket or a line end.
            data = self._slot.map[: self._slot.size]
            return data.count(b",") + data.count(b"[") + data.count(b"{") + data.count(b"\n") + 1
        return self._slot.map[: self._slot.size].count(b"\n") + 1


def _occurrences(data: bytes, needle: bytes) -> Iterator[str]:
    lowered = data.lower()
    at = lowered.find(needle)
    seen = 0
    while at >= 0:
        spelling = data[at + 1 : at + len(needle) - 1]
        yield spelling.decode()
        seen += 1
        if seen == 64 and lowered.count(needle) == data.count(b'"' + spelling + b'"'):
            return
        at = lowered.find(needle, at + 1)
