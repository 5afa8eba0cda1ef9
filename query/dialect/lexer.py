"""
SQL text to tokens.

One regular expression, one pass. What a token means in its place is the parser's business.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from query.errors import QueryError, position_of

SQL_BYTES_MAX: Final = 256 * 1024  # S3 Select's limit on the length of an expression


class Kind(Enum):
    WORD = "word"
    QUOTED = "quoted"  # "name"
    STRING = "string"
    NUMBER = "number"
    ION = "ion"  # `time stamp`
    OP = "op"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A token; `text` is the value of strings and quoted names, upper case for words, as written for the rest."""

    kind: Kind
    text: str
    pos: int
    word: str = ""  # the word as written


_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n\f]+)
    | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | '(?P<string>[^']*(?:''[^']*)*)'
    | "(?P<quoted>[^"]*(?:""[^"]*)*)"
    | `(?P<ion>[^`]*)`
    | (?P<op><>|<=|>=|!=|[-+*/%=<>().,\[\]])
    """,
    re.VERBOSE,
)
_OPERATOR_CHARS: Final = frozenset("!|&^~:?")


def tokenize(sql: str) -> list[Token]:
    """
    Cut the text into tokens; the last one is END.

    Raises:
        QueryError: ExpressionTooLong, or one of the Lexer codes with its place.
    """
    if len(sql) > SQL_BYTES_MAX or len(sql.encode("utf-8", "surrogatepass")) > SQL_BYTES_MAX:
        raise QueryError("ExpressionTooLong")
    tokens: list[Token] = []
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            raise _invalid(sql, at)
        token = _token(match, sql)
        if token is not None:
            tokens.append(token)
        at = match.end()
    tokens.append(Token(Kind.END, "", len(sql)))
    return tokens


def _token(match: re.Match[str], sql: str) -> Token | None:
    at, text = match.start(), match.group(match.lastgroup or 0)
    match match.lastgroup:
        case "space":
            return None
        case "word":
            return Token(Kind.WORD, text.upper(), at, text)
        case "number":
            if sql[match.end() : match.end() + 1].isalnum() or sql.startswith("_", match.end()):
                raise QueryError("LexerInvalidLiteral", position=position_of(sql, at))
            return Token(Kind.NUMBER, text, at)
        case "string":
            return Token(Kind.STRING, text.replace("''", "'"), at)
        case "quoted":
            return Token(Kind.QUOTED, text.replace('""', '"'), at)
        case "ion":
            return Token(Kind.ION, text, at)
        case _:
            _refuse_comment(match, sql)
            return Token(Kind.OP, text, at)


def _refuse_comment(match: re.Match[str], sql: str) -> None:
    # The reference has no comments, but the engine underneath and AWS's own parser have: refuse what
    # could mean one thing here and another there.
    if sql.startswith(("--", "/*"), match.start()):
        raise QueryError("LexerInvalidOperator", "comments are not supported", position=position_of(sql, match.start()))


def _invalid(sql: str, at: int) -> QueryError:
    place = position_of(sql, at)
    if sql[at] in "'\"`":
        return QueryError("LexerInvalidLiteral", "the quote is not closed", position=place)
    if sql[at] in _OPERATOR_CHARS:
        return QueryError("LexerInvalidOperator", position=place)
    return QueryError("LexerInvalidChar", position=place)
