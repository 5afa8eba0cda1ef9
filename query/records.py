"""
One record of the result as one text: the SQL that writes CSV, JSON and row lists.

The engine writes the text, so that a result goes from its buffer to the socket without a Python object per field.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from query.dialect.check import Output, Query
from query.dialect.nodes import Column, Expr, Member, Type
from query.formats import OutputFormat, OutputKind, QuoteFields
from query.lower import Lowering
from query.views import quoted


@dataclass(frozen=True, slots=True)
class Writing:
    """
    How the records of one part of the input are written.

    Attributes:
        star: The columns that `*` stands for here; None when the row is a JSON value.
        is_clean: No column of this part can need quotes, and no JSON value holds a line end.
        is_ragged: `*` gives each record as many fields as it has.
    """

    output: OutputFormat
    star: tuple[Output, ...] | None
    is_clean: bool
    is_ragged: bool


def record_sql(query: Query, lowering: Lowering, writing: Writing, rest: str) -> str:
    """
    The statement that gives the text of each record, with its delimiter, as column `t`.

    Three layers: values, their texts, the record. A text is named many times where it may need quotes; what it is made
    of must not be repeated each time, or the planner of the engine takes longer than the scan.

    Args:
        query: What is asked.
        lowering: For the view that is read.
        writing: How to write.
        rest: FROM, WHERE and LIMIT.
    """
    outputs = query.outputs or writing.star
    end = quoted("\n" if writing.output.kind is OutputKind.ROWS else writing.output.record_delimiter)
    if outputs is None:
        return f"SELECT {_whole_row(writing.output)} || {end} AS t {rest}"
    values: list[str] = []
    texts: list[str] = []
    is_json = writing.output.kind is not OutputKind.CSV
    for number, output in enumerate(outputs):
        text = None if is_json else lowering.text_of_member(output.expr)
        if text is not None:
            values.append(f"{text} AS v{number}")
            texts.append(f"v{number} AS x{number}")
            continue
        value, scale = lowering.value_and_scale(output.expr)
        values.append(f"{value} AS v{number}" + ("" if scale is None else f", {scale} AS s{number}"))
        write = lowering.json_from if is_json else lowering.text_from
        texts.append(f"{write(output.expr, f'v{number}', None if scale is None else f's{number}')} AS x{number}")
    is_ragged = writing.is_ragged and not query.outputs
    record = _record(outputs, writing, is_ragged=is_ragged)
    inner = f"SELECT {', '.join(values)} {rest}"
    return f"SELECT {record} || {end} AS t FROM (SELECT {', '.join(texts)} FROM ({inner}))"  # noqa: S608  # from the tree


def header_text(outputs: tuple[Output, ...], output: OutputFormat) -> str:
    """The names of the columns, as a record of CSV."""
    special = output.delimiter + output.quote + output.record_delimiter + "\r\n"
    return output.delimiter.join(_cell_text(one.name, special, output) for one in outputs) + output.record_delimiter


def row_text(outputs: tuple[Output, ...], row: Sequence[object], output: OutputFormat) -> str:
    """One record whose values are here already, as the engine would write it: CSV or JSON."""
    if output.kind is OutputKind.CSV:
        special = output.delimiter + output.quote + output.record_delimiter + "\r\n"
        cells = [_cell_text(_plain_text(value), special, output) for value in row]
        return output.delimiter.join(cells) + output.record_delimiter
    pairs = [
        f"{json.dumps(one.name, ensure_ascii=False)}:{json.dumps(value, ensure_ascii=False)}"
        for one, value in zip(outputs, row, strict=True)
        if value is not None or not can_be_missing(one.expr)
    ]
    return "{" + ",".join(pairs) + "}" + output.record_delimiter


def _plain_text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell_text(text: str, special: str, output: OutputFormat) -> str:
    if output.quote_fields is QuoteFields.ASNEEDED and not any(mark in special for mark in text):
        return text
    return output.quote + text.replace(output.quote, output.escape + output.quote) + output.quote


def _record(outputs: tuple[Output, ...], writing: Writing, *, is_ragged: bool) -> str:
    names = [f"x{number}" for number in range(len(outputs))]
    match writing.output.kind:
        case OutputKind.CSV:
            return _csv(outputs, names, writing, is_ragged=is_ragged)
        case OutputKind.JSON:
            return _joined("{", [_pair(one, name) for one, name in zip(outputs, names, strict=True)], "}")
    return _joined("[", names if is_ragged else [f"coalesce({name}, 'null')" for name in names], "]")


def _joined(begin: str, parts: list[str], end: str) -> str:
    # concat_ws leaves NULLs out: that is how a missing value loses its key.
    return f"{quoted(begin)} || concat_ws(',', {', '.join(parts)}) || {quoted(end)}"


def _pair(output: Output, text: str) -> str:
    key = quoted(json.dumps(output.name, ensure_ascii=False) + ":")
    return f"{key} || {text}" if can_be_missing(output.expr) else f"{key} || coalesce({text}, 'null')"


def can_be_missing(node: Expr) -> bool:
    """Whether no value means that the record has no such field, rather than NULL."""
    return isinstance(node, (Column, Member))


def _csv(outputs: tuple[Output, ...], names: list[str], writing: Writing, *, is_ragged: bool) -> str:
    delimiter = quoted(writing.output.delimiter)
    cells = [_cell(one.expr, name, writing) for one, name in zip(outputs, names, strict=True)]
    if is_ragged:
        # A record that has fewer fields comes back with fewer fields.
        return f"concat_ws({delimiter}, {', '.join(cells)})"
    return f" || {delimiter} || ".join(f"coalesce({cell}, '')" for cell in cells)


def _cell(node: Expr, text: str, writing: Writing) -> str:
    output = writing.output
    if output.quote_fields is QuoteFields.ASNEEDED and (
        (writing.is_clean and isinstance(node, Column)) or node.type in (Type.INT, Type.BOOL)
    ):
        return text
    if writing.is_clean and isinstance(node, Member):
        special = (output.delimiter, output.quote)
        return _quoted_text(text, output, " OR ".join(f"contains({text}, {quoted(mark)})" for mark in special))
    return _quoted_text(text, output)


def _quoted_text(text: str, output: OutputFormat, test: str = "") -> str:
    escaped = f"replace({text}, {quoted(output.quote)}, {quoted(output.escape + output.quote)})"
    in_quotes = f"{quoted(output.quote)} || {escaped} || {quoted(output.quote)}"
    if output.quote_fields is QuoteFields.ALWAYS:
        return f"({in_quotes})"
    if not test:
        # One search a character takes less than one regular expression.
        special = dict.fromkeys(output.delimiter + output.quote + output.record_delimiter + "\r\n")
        test = " OR ".join(f"contains({text}, {quoted(mark)})" for mark in special)
    return f"CASE WHEN {test} THEN {in_quotes} ELSE {text} END"


def _whole_row(output: OutputFormat) -> str:
    if output.kind is OutputKind.CSV:
        # A JSON record as CSV: the values of its keys in their order.
        cell = _quoted_text("coalesce(s3_json_text(x), '')", output)
        return f"array_to_string(list_transform(json_extract(j, '$.*'), lambda x: {cell}), {quoted(output.delimiter)})"
    if output.kind is OutputKind.ROWS:
        return "'[' || coalesce(CAST(json(j) AS VARCHAR), 'null') || ']'"
    text = "CAST(json(j) AS VARCHAR)"
    return f"CASE WHEN json_type(j) = 'OBJECT' THEN {text} ELSE coalesce('{{\"_1\":' || {text} || '}}', '{{}}') END"
