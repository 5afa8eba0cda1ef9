"""
One record of the result as one text: the SQL that writes CSV, JSON and row lists.

The engine writes the text, so that a result goes from its buffer to the socket without a Python object per field.
"""

import json
import re
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
        is_clean: No field of this part can need quotes.
        is_ragged: `*` gives each record as many fields as it has.
    """

    output: OutputFormat
    star: tuple[Output, ...] | None
    is_clean: bool
    is_ragged: bool


def record_sql(query: Query, lowering: Lowering, writing: Writing) -> str:
    """SQL that gives the text of one record, with its delimiter."""
    output = writing.output
    end = quoted("\n" if output.kind is OutputKind.ROWS else output.record_delimiter)
    if query.outputs:
        return f"{_fields(query.outputs, lowering, writing)} || {end}"
    if writing.star is None:
        return f"{_whole_row(output)} || {end}"
    return f"{_fields(writing.star, lowering, writing, is_star=writing.is_ragged)} || {end}"


def _fields(outputs: tuple[Output, ...], lowering: Lowering, writing: Writing, *, is_star: bool = False) -> str:
    match writing.output.kind:
        case OutputKind.CSV:
            return _csv(outputs, lowering, writing, is_star=is_star)
        case OutputKind.JSON:
            return _joined("{", [_pair(one, lowering) for one in outputs], "}")
    cells = [lowering.json(one.expr) for one in outputs]
    return _joined("[", cells if is_star else [f"coalesce({cell}, 'null')" for cell in cells], "]")


def _joined(begin: str, parts: list[str], end: str) -> str:
    # concat_ws leaves NULLs out: that is how a missing value loses its key.
    return f"{quoted(begin)} || concat_ws(',', {', '.join(parts)}) || {quoted(end)}"


def _pair(output: Output, lowering: Lowering) -> str:
    key = quoted(json.dumps(output.name, ensure_ascii=False) + ":")
    value = lowering.json(output.expr)
    return f"{key} || {value}" if can_be_missing(output.expr) else f"{key} || coalesce({value}, 'null')"


def can_be_missing(node: Expr) -> bool:
    """Whether no value means that the record has no such field, rather than NULL."""
    return isinstance(node, (Column, Member))


def _csv(outputs: tuple[Output, ...], lowering: Lowering, writing: Writing, *, is_star: bool) -> str:
    delimiter = quoted(writing.output.delimiter)
    cells = [_cell(one.expr, lowering, writing) for one in outputs]
    if is_star:
        # A record that has fewer fields comes back with fewer fields.
        return f"concat_ws({delimiter}, {', '.join(cells)})"
    return f" || {delimiter} || ".join(f"coalesce({cell}, '')" for cell in cells)


def _cell(node: Expr, lowering: Lowering, writing: Writing) -> str:
    output = writing.output
    text = lowering.text(node)
    if output.quote_fields is QuoteFields.ASNEEDED and (
        (writing.is_clean and isinstance(node, Column)) or node.type in (Type.INT, Type.BOOL)
    ):
        return text
    return _quoted_text(text, output)


def _quoted_text(text: str, output: OutputFormat) -> str:
    escaped = f"replace({text}, {quoted(output.quote)}, {quoted(output.escape + output.quote)})"
    in_quotes = f"{quoted(output.quote)} || {escaped} || {quoted(output.quote)}"
    if output.quote_fields is QuoteFields.ALWAYS:
        return f"({in_quotes})"
    special = "".join(dict.fromkeys(output.delimiter + output.quote + output.record_delimiter + "\r\n"))
    test = f"regexp_matches({text}, {quoted('[' + re.escape(special) + ']')})"
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
