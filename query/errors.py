"""
The one error of the room: S3 Select's error codes with their meaning, and where in the SQL it went wrong.

The codes are AWS's, so that a client of S3 Select finds what it knows; the sentences are ours. A few codes that AWS
does not have stand in tables of their own. How a face answers must never live here, beyond the status that AWS names.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the SQL text; line and column count from 1, as AWS's messages do."""

    line: int
    column: int


# Source: Amazon S3 API reference, "List of SELECT Object Content Error Codes".
AWS_CODES: Final[dict[str, str]] = {
    "AmbiguousFieldName": "the name fits more than one field of the file; write it in double quotes",
    "Busy": "every place is taken; try again later",
    "CastFailed": "a value does not convert to the wanted type",
    "ColumnTooLong": "a column of the result is longer than 1 MB",
    "CSVEscapingRecordDelimiter": "a quoted record delimiter, while AllowQuotedRecordDelimiter is off",
    "CSVParsingError": "the file is not the CSV that the request describes",
    "CSVUnescapedQuote": "a quote inside a quoted field is not escaped, or a quote is never closed",
    "EmptyRequestBody": "the request has no body",
    "EvaluatorBindingDoesNotExist": "a column or path that the query names does not exist",
    "EvaluatorInvalidArguments": "a function has the wrong number of arguments",
    "EvaluatorInvalidTimestampFormatPattern": "the time stamp pattern is not valid",
    "EvaluatorInvalidTimestampFormatPatternSymbol": "the time stamp pattern has an unknown symbol",
    "EvaluatorInvalidTimestampFormatPatternSymbolForParsing": "the symbol cannot be used to read a time stamp",
    "EvaluatorInvalidTimestampFormatPatternToken": "the time stamp pattern has an unknown token",
    "EvaluatorLikePatternInvalidEscapeSequence": "the LIKE pattern has an escape with nothing to escape",
    "EvaluatorNegativeLimit": "LIMIT must not be negative",
    "EvaluatorTimestampFormatPatternDuplicateFields": "the time stamp pattern names one field twice",
    "EvaluatorTimestampFormatPatternHourClockAmPmMismatch": "12-hour clock and AM/PM must come together",
    "EvaluatorUnterminatedTimestampFormatPatternToken": "a quoted text in the time stamp pattern is not closed",
    "ExpressionTooLong": "the SQL is longer than 256 KB",
    "ExternalEvalException": "the query cannot be evaluated on this file",
    "IllegalSqlFunctionArgument": "a function was given a value that it does not take",
    "IncorrectSqlFunctionArgumentType": "a function or operator was given a type that it does not take",
    "IntegerOverflow": "an integer left the range of 64 bits",
    "InternalError": "the engine failed",
    "InvalidCast": "there is no conversion between these types",
    "InvalidColumnIndex": "there is no such column number",
    "InvalidCompressionFormat": "the file is not compressed as the request says",
    "InvalidDataSource": "the input is neither CSV nor JSON nor Parquet",
    "InvalidDataType": "no such data type",
    "InvalidExpressionType": "only SQL expressions can be run",
    "InvalidFileHeaderInfo": "FileHeaderInfo is USE, IGNORE or NONE",
    "InvalidJsonType": "the JSON type is DOCUMENT or LINES",
    "InvalidKeyPath": "the path is not valid",
    "InvalidQuoteFields": "QuoteFields is ALWAYS or ASNEEDED",
    "InvalidRequestParameter": "a parameter of the request is not valid",
    "InvalidScanRange": "the scan range is not valid",
    "InvalidTableAlias": "the table alias is not valid",
    "InvalidTextEncoding": "the text is not UTF-8",
    "JSONParsingError": "the file is not valid JSON",
    "LexerInvalidChar": "a character that SQL does not have",
    "LexerInvalidIONLiteral": "the literal in backquotes is not a time stamp",
    "LexerInvalidLiteral": "a literal that is not valid",
    "LexerInvalidOperator": "an operator that is not valid",
    "LikeInvalidInputs": "LIKE takes text",
    "MalformedXML": "the request is not well-formed XML",
    "MaxOperatorsExceeded": "the SQL has too many operators or is nested too deeply",
    "MissingRequiredParameter": "a parameter of the request is missing",
    "MultipleDataSourcesUnsupported": "a query reads one source only",
    "NumberFormatError": "a number has more digits than the engine keeps",
    "ObjectSerializationConflict": "name exactly one input format and one output format",
    "OverMaxColumn": "the result has too many columns",
    "OverMaxParquetBlockSize": "a row group of the Parquet file is too large",
    "OverMaxRecordSize": "a record is longer than 1 MB",
    "ParquetParsingError": "the file is not valid Parquet",
    "ParquetUnsupportedCompressionCodec": "the Parquet file uses a compression that is not supported",
    "ParseAsteriskIsNotAloneInSelectList": "* stands alone in the SELECT list",
    "ParseCannotMixSqbAndWildcardInSelectList": "[] and * cannot be mixed in the SELECT list",
    "ParseCastArity": "CAST takes one expression and one type",
    "ParseEmptySelect": "the SELECT list is empty",
    "ParseExpected2TokenTypes": "something else was expected",
    "ParseExpectedArgumentDelimiter": "a comma was expected",
    "ParseExpectedDatePart": "a date part was expected: year, month, day, hour, minute or second",
    "ParseExpectedExpression": "an expression was expected",
    "ParseExpectedIdentForAlias": "a name was expected after AS",
    "ParseExpectedIdentForAt": "a name was expected after AT",
    "ParseExpectedIdentForGroupName": "GROUP is not supported",
    "ParseExpectedKeyword": "a keyword was expected",
    "ParseExpectedLeftParenAfterCast": "a left parenthesis was expected after CAST",
    "ParseExpectedLeftParenBuiltinFunctionCall": "a left parenthesis was expected after the function",
    "ParseExpectedLeftParenValueConstructor": "a left parenthesis was expected",
    "ParseExpectedMember": "MEMBER is not supported",
    "ParseExpectedNumber": "a number was expected",
    "ParseExpectedRightParenBuiltinFunctionCall": "a right parenthesis was expected",
    "ParseExpectedTokenType": "something else was expected",
    "ParseExpectedTypeName": "the name of a type was expected",
    "ParseExpectedWhenClause": "CASE needs a WHEN",
    "ParseInvalidContextForWildcardInSelectList": "* cannot stand here",
    "ParseInvalidPathComponent": "a part of the path is not valid",
    "ParseInvalidTypeParam": "the size of the type is not valid",
    "ParseMalformedJoin": "JOIN is not supported",
    "ParseMissingIdentAfterAt": "a name was expected after @",
    "ParseNonUnaryAgregateFunctionCall": "an aggregate takes one argument",
    "ParseSelectMissingFrom": "FROM is missing",
    "ParseUnExpectedKeyword": "a keyword that cannot stand here",
    "ParseUnexpectedOperator": "an operator that cannot stand here",
    "ParseUnexpectedTerm": "a term that cannot stand here",
    "ParseUnexpectedToken": "something that cannot stand here",
    "ParseUnknownOperator": "an unknown operator",
    "ParseUnsupportedAlias": "an alias cannot stand here",
    "ParseUnsupportedCallWithStar": "only COUNT takes *",
    "ParseUnsupportedCase": "this CASE is not supported",
    "ParseUnsupportedCaseClause": "this CASE is not supported",
    "ParseUnsupportedLiteralsGroupBy": "GROUP BY is not supported",
    "ParseUnsupportedSelect": "this SELECT is not supported",
    "ParseUnsupportedSyntax": "this syntax is not supported",
    "ParseUnsupportedToken": "a token that is not supported",
    "TruncatedInput": "the compressed file ends too early",
    "UnauthorizedAccess": "not allowed",
    "UnrecognizedFormatException": "the kind of record is not valid",
    "UnsupportedFunction": "no such function",
    "UnsupportedParquetType": "a column of the Parquet file has a type that is not supported",
    "UnsupportedRangeHeader": "a Range header is not supported here",
    "UnsupportedScanRangeInput": "this kind of input cannot be read by scan range",
    "UnsupportedSqlOperation": "the operation is not supported",
    "UnsupportedSqlStructure": "the structure of the query is not supported",
    "UnsupportedStorageClass": "the storage class is not supported",
    "UnsupportedSyntax": "the syntax is not valid",
    "UnsupportedTypeForQuerying": "these types cannot be compared",
    "ValueParseFailure": "a text is not the time stamp that the pattern describes",
}

# AWS answers these two without listing them; seen in its SQL reference and in what its service returns.
SEEN_CODES: Final[dict[str, str]] = {
    "MissingHeaders": "a column that the query names is not in the header of the file",
}

# AWS has no code for the bounds that a self-hosted server needs.
OWN_CODES: Final[dict[str, str]] = {
    "QueryTimeout": "the query ran longer than allowed",
    "OverMaxScanSize": "the query would read more bytes than allowed",
    "OverMaxResultSize": "the result is larger than allowed",
    "OverMaxMemory": "the query needs more memory than allowed",
    "WorkerCrashed": "the worker that ran the query ended; the query was not finished",
}

STATUS_BY_CODE: Final[dict[str, int]] = {
    "Busy": 503,
    "InternalError": 500,
    "WorkerCrashed": 500,
    "UnauthorizedAccess": 401,
}


class QueryError(Exception):
    """The query, its parameters or its file are wrong, or a bound was reached."""

    def __init__(self, code: str, message: str = "", *, position: Position | None = None) -> None:
        self.code = code
        self.position = position
        self.message = message or message_for(code)
        if position is not None:
            self.message += f" (line {position.line}, column {position.column})"
        super().__init__(f"{code}: {self.message}")

    @property
    def status(self) -> int:
        """The HTTP status that AWS gives with this code."""
        return STATUS_BY_CODE.get(self.code, 400)


def message_for(code: str) -> str:
    """Our sentence for a code; unknown codes are our own mistake."""
    for table in (AWS_CODES, SEEN_CODES, OWN_CODES):
        if code in table:
            return table[code]
    raise AssertionError(f"unknown error code {code}")


def position_of(sql: str, offset: int) -> Position:
    """Turn an offset in characters into line and column."""
    line = sql.count("\n", 0, offset) + 1
    return Position(line=line, column=offset - (sql.rfind("\n", 0, offset) + 1) + 1)
