"""
Tokens to tree.

Recursive descent for statements, precedence climbing for expressions. Names are not looked up here: the same text
parses the same way whatever the file holds.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

from query.dialect.lexer import Kind, Token, tokenize
from query.dialect.nodes import (
    Aggregate,
    Between,
    Binary,
    Call,
    Case,
    Cast,
    Expr,
    In,
    Index,
    Is,
    Item,
    Like,
    Literal,
    Logic,
    Missing,
    Name,
    Path,
    Select,
    Source,
    Step,
    Type,
    Unary,
    When,
    Wildcard,
    depth_of,
)
from query.dialect.words import (
    AGGREGATES,
    DATE_FUNCTIONS,
    DATE_PARTS,
    EXTRACT_PARTS,
    FUNCTIONS,
    RESERVED,
    SPECIAL,
    TYPES,
    UNSUPPORTED_TYPES,
)
from query.errors import QueryError, position_of

NESTING_MAX: Final = 60  # levels of parentheses; three Python frames each, far below the interpreter's limit
DEPTH_MAX: Final = 150  # levels of the tree; the engine underneath stops at 1000 and a level becomes up to five
DIGITS_MAX: Final = 38  # S3 Select's DECIMAL
INT_MAX: Final = 2**63 - 1

# Source: S3 Select user guide, "Operator precedence"; IS is not in the table and stands with =, as in PartiQL.
_OR, _AND, _NOT, _EQUALITY, _ORDER, _LIKE, _BETWEEN, _IN, _SUM, _PRODUCT, _SIGN = range(1, 12)
_BINARY: Final = {
    "=": _EQUALITY,
    "<>": _EQUALITY,
    "!=": _EQUALITY,
    "<": _ORDER,
    "<=": _ORDER,
    ">": _ORDER,
    ">=": _ORDER,
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
    "%": _PRODUCT,
}
_WORD_LEVEL: Final = {"AND": _AND, "OR": _OR, "IS": _EQUALITY, "LIKE": _LIKE, "BETWEEN": _BETWEEN, "IN": _IN}
_REFUSED_CLAUSES: Final = {
    "JOIN": "ParseMalformedJoin",
    "INNER": "ParseMalformedJoin",
    "LEFT": "ParseMalformedJoin",
    "RIGHT": "ParseMalformedJoin",
    "FULL": "ParseMalformedJoin",
    "CROSS": "ParseMalformedJoin",
    "GROUP": "ParseExpectedIdentForGroupName",
    "ORDER": "UnsupportedSyntax",
    "HAVING": "UnsupportedSyntax",
    "UNION": "UnsupportedSyntax",
    "EXCEPT": "UnsupportedSyntax",
    "INTERSECT": "UnsupportedSyntax",
    "AT": "UnsupportedSyntax",
}


def parse(sql: str) -> Select:
    """
    Parse one SELECT statement.

    Raises:
        QueryError: With AWS's code and the place.
    """
    return _Parser(sql).statement()


class _Parser:
    """One pass over the tokens of one statement."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._tokens = tokenize(sql)
        self._at = 0
        self._nesting = 0
        self._star: Name | None = None

    # ---- tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind is not Kind.END:
            self._at += 1
        return token

    def _is_op(self, text: str) -> bool:
        return self._token.kind is Kind.OP and self._token.text == text

    def _is_word(self, *words: str) -> bool:
        return self._token.kind is Kind.WORD and self._token.text in words

    def _skip_op(self, text: str) -> bool:
        if self._is_op(text):
            self._at += 1
            return True
        return False

    def _skip_word(self, word: str) -> bool:
        if self._is_word(word):
            self._at += 1
            return True
        return False

    def _expect_op(self, text: str, code: str) -> None:
        if not self._skip_op(text):
            raise self._error(code, f"{text!r} was expected")

    def _expect_word(self, word: str, code: str = "ParseExpectedKeyword") -> None:
        if not self._skip_word(word):
            raise self._error(code, f"{word} was expected")

    def _error(self, code: str, message: str = "", *, at: int | None = None) -> QueryError:
        place = self._token.pos if at is None else at
        return QueryError(code, message, position=position_of(self._sql, place))

    # ---- statement

    def statement(self) -> Select:
        start = self._token.pos
        if not self._skip_word("SELECT"):
            raise self._error(
                "ParseUnsupportedSyntax" if self._token.kind is Kind.WORD else "ParseExpectedKeyword",
                "SELECT was expected",
            )
        items = self._items()
        if not self._skip_word("FROM"):
            raise self._error(_REFUSED_CLAUSES.get(self._token.text, "ParseSelectMissingFrom"))
        source = self._source()
        where = self._expression() if self._skip_word("WHERE") else None
        limit = self._limit() if self._skip_word("LIMIT") else None
        if self._token.kind is not Kind.END:
            raise self._leftover()
        select = Select(start, items, source, where, limit, self._star)
        if depth_of(select) > DEPTH_MAX:
            raise QueryError("MaxOperatorsExceeded")
        return select

    def _leftover(self) -> QueryError:
        token = self._token
        if token.kind is Kind.WORD:
            code = _REFUSED_CLAUSES.get(
                token.text, "ParseUnExpectedKeyword" if token.text in RESERVED else "ParseUnexpectedToken"
            )
            return self._error(code)
        if token.kind is Kind.OP:
            return self._error("MultipleDataSourcesUnsupported" if token.text == "," else "ParseUnexpectedOperator")
        return self._error("ParseUnexpectedTerm")

    def _items(self) -> tuple[Item, ...]:
        if self._is_word("FROM"):
            raise self._error("ParseEmptySelect")
        if self._is_word("DISTINCT", "ALL"):
            raise self._error("ParseUnsupportedSelect", f"{self._token.text} is not supported")
        if self._skip_op("*"):
            if self._is_op(","):
                raise self._error("ParseAsteriskIsNotAloneInSelectList")
            return ()
        if self._is_row_star():
            self._star = self._path_name()
            self._at += 2
            if self._is_op(","):
                raise self._error("UnsupportedSqlStructure", "a row's * stands alone here")
            return ()
        items = [self._item()]
        while self._skip_op(","):
            if self._is_op("*"):
                raise self._error("ParseAsteriskIsNotAloneInSelectList")
            if self._is_row_star():
                raise self._error("UnsupportedSqlStructure", "a row's * stands alone here")
            items.append(self._item())
        return tuple(items)

    def _is_row_star(self) -> bool:
        """`s.*`"""
        following = [token.text for token in self._tokens[self._at + 1 : self._at + 3] if token.kind is Kind.OP]
        return self._is_name and following == [".", "*"]

    def _item(self) -> Item:
        start = self._token.pos
        expr = self._expression()
        alias = self._alias() if self._skip_word("AS") or self._is_name else None
        return Item(start, expr, alias)

    @property
    def _is_name(self) -> bool:
        token = self._token
        return token.kind is Kind.QUOTED or (token.kind is Kind.WORD and token.text not in RESERVED)

    def _alias(self) -> str:
        token = self._token
        if token.kind is Kind.QUOTED:
            self._at += 1
            return token.text
        if token.kind is Kind.WORD and token.text not in RESERVED:
            self._at += 1
            return token.word
        raise self._error("ParseExpectedIdentForAlias")

    def _source(self) -> Source:
        token = self._token
        is_name = token.kind in (Kind.WORD, Kind.QUOTED)
        if not is_name or token.text.upper() != "S3OBJECT":
            if self._is_op("("):
                raise self._error("UnsupportedSqlStructure", "subqueries are not supported")
            raise self._error("ParseExpected2TokenTypes", "S3Object was expected after FROM")
        self._at += 1
        steps = self._steps(allow_wildcards=True)
        if steps and not (isinstance(steps[0], Wildcard) and steps[0].is_array):
            # User guide, FROM clause: a path must begin with S3Object[*].
            raise self._error("ParseInvalidPathComponent", "a path must begin with S3Object[*]", at=steps[0].pos)
        alias = self._alias() if self._skip_word("AS") or self._is_name else None
        return Source(token.pos, steps, alias)

    def _limit(self) -> int:
        token = self._token
        if self._skip_op("-"):
            raise self._error("EvaluatorNegativeLimit", at=token.pos)
        if token.kind is not Kind.NUMBER or not token.text.isdigit():
            raise self._error("ParseExpectedNumber", "LIMIT takes a whole number")
        self._at += 1
        return min(int(token.text[:30]), INT_MAX)

    # ---- expressions

    def _expression(self, level: int = _OR) -> Expr:
        self._nesting += 1
        if self._nesting > NESTING_MAX:
            raise QueryError("MaxOperatorsExceeded")
        left = self._prefix()
        while True:
            token = self._token
            step = self._operator_level(token)
            if step is None or step < level:
                break
            left = self._infix(left, token, step)
        self._nesting -= 1
        return left

    def _operator_level(self, token: Token) -> int | None:
        if token.kind is Kind.OP:
            return _BINARY.get(token.text)
        if token.kind is not Kind.WORD:
            return None
        if token.text == "NOT":
            following = self._tokens[self._at + 1]
            return _WORD_LEVEL.get(following.text) if following.text in ("LIKE", "BETWEEN", "IN") else None
        return _WORD_LEVEL.get(token.text)

    def _infix(self, left: Expr, token: Token, level: int) -> Expr:
        if token.kind is Kind.OP:
            self._at += 1
            op = "<>" if token.text == "!=" else token.text
            # The reference makes = right-associative; everything else groups to the left.
            right = self._expression(level if token.text == "=" else level + 1)
            return Binary(token.pos, op, left, right)
        if token.text in ("AND", "OR"):
            return self._logic(left, token, level)
        is_negated = self._skip_word("NOT")
        word = self._next().text
        readers: dict[str, Callable[[Expr, int, bool], Expr]] = {
            "IS": self._is,
            "LIKE": self._like,
            "BETWEEN": self._between,
            "IN": self._in,
        }
        return readers[word](left, token.pos, is_negated)

    def _logic(self, left: Expr, token: Token, level: int) -> Expr:
        terms = [left]
        while self._skip_word(token.text):
            terms.append(self._expression(level + 1))
        return Logic(token.pos, token.text, tuple(terms))

    def _is(self, operand: Expr, pos: int, _is_negated: bool) -> Expr:
        is_negated = self._skip_word("NOT")
        if not self._is_word("NULL", "MISSING"):
            raise self._error("ParseExpectedKeyword", "NULL or MISSING was expected after IS")
        return Is(pos, operand, is_missing=self._next().text == "MISSING", is_negated=is_negated)

    def _like(self, operand: Expr, pos: int, is_negated: bool) -> Expr:
        pattern = self._expression(_SUM)
        escape = self._expression(_SUM) if self._skip_word("ESCAPE") else None
        return Like(pos, operand, pattern, escape, is_negated)

    def _between(self, operand: Expr, pos: int, is_negated: bool) -> Expr:
        low = self._expression(_SUM)
        self._expect_word("AND")
        return Between(pos, operand, low, self._expression(_SUM), is_negated)

    def _in(self, operand: Expr, pos: int, is_negated: bool) -> Expr:
        self._expect_op("(", "ParseExpectedLeftParenValueConstructor")
        if self._is_word("SELECT"):
            raise self._error("UnsupportedSqlStructure", "subqueries are not supported")
        return In(pos, operand, self._arguments(), is_negated)

    def _prefix(self) -> Expr:
        token = self._token
        if self._skip_word("NOT"):
            return Unary(token.pos, "NOT", self._expression(_NOT))
        if self._skip_op("-"):
            return self._negative(token.pos)
        if self._skip_op("+"):
            return Unary(token.pos, "+", self._expression(_SIGN))
        return self._primary()

    def _negative(self, pos: int) -> Expr:
        # The least integer has no positive twin, so the sign belongs to the literal.
        if self._token.kind is Kind.NUMBER:
            return self._number(self._next(), sign="-")
        return Unary(pos, "-", self._expression(_SIGN))

    def _primary(self) -> Expr:
        token = self._token
        match token.kind:
            case Kind.NUMBER:
                return self._number(self._next())
            case Kind.STRING:
                self._at += 1
                return Literal(token.pos, token.text, Type.STRING)
            case Kind.ION:
                self._at += 1
                return Literal(token.pos, token.text, Type.TIMESTAMP)
            case Kind.QUOTED:
                return self._path()
            case Kind.WORD:
                return self._word()
            case Kind.OP if token.text == "(":
                return self._parenthesis()
            case Kind.OP if token.text == "*":
                raise self._error("ParseInvalidContextForWildcardInSelectList")
            case Kind.OP if token.text in _BINARY:
                raise self._error("ParseUnexpectedOperator")
        raise self._error("ParseExpectedExpression")

    def _parenthesis(self) -> Expr:
        self._at += 1
        if self._is_word("SELECT"):
            raise self._error("UnsupportedSqlStructure", "subqueries are not supported")
        inner = self._expression()
        self._expect_op(")", "ParseExpectedTokenType")
        return inner

    def _number(self, token: Token, sign: str = "") -> Literal:
        if token.text.isdigit() and len(token.text) <= DIGITS_MAX:
            whole = int(sign + token.text)
            if -INT_MAX - 1 <= whole <= INT_MAX:
                return Literal(token.pos, whole, Type.INT)
        try:
            value = Decimal(sign + token.text)
        except InvalidOperation as error:
            raise self._error("LexerInvalidLiteral", at=token.pos) from error
        if len(value.as_tuple().digits) > DIGITS_MAX or not -DIGITS_MAX <= value.adjusted() < DIGITS_MAX:
            raise self._error("NumberFormatError", at=token.pos)
        return Literal(token.pos, value, Type.DECIMAL)

    def _word(self) -> Expr:
        token = self._token
        following = self._tokens[self._at + 1]
        if token.text in ("TRUE", "FALSE"):
            self._at += 1
            return Literal(token.pos, token.text == "TRUE", Type.BOOL)
        if token.text == "NULL":
            self._at += 1
            return Literal(token.pos, None, Type.UNKNOWN)
        if token.text == "MISSING":
            self._at += 1
            return Missing(token.pos)
        if token.text == "CASE":
            return self._case()
        if following.kind is Kind.OP and following.text == "(":
            return self._call()
        if token.text in RESERVED:
            raise self._reserved(token)
        return self._path()

    def _reserved(self, token: Token) -> QueryError:
        if token.text == "CAST":
            return self._error("ParseExpectedLeftParenAfterCast", at=token.pos)
        if token.text in FUNCTIONS or token.text in AGGREGATES or token.text in SPECIAL:
            return self._error("ParseExpectedLeftParenBuiltinFunctionCall", at=token.pos)
        if token.text == "SELECT":
            return self._error("UnsupportedSqlStructure", "subqueries are not supported")
        if token.text == "FROM":
            return self._error("ParseExpectedExpression")
        return self._error("ParseUnExpectedKeyword", f"{token.text} is a reserved word; write it in double quotes")

    # ---- paths

    def _path(self) -> Path:
        first = self._path_name()
        return Path(first.pos, (first, *self._steps(allow_wildcards=False)))

    def _path_name(self) -> Name:
        token = self._next()
        is_exact = token.kind is Kind.QUOTED
        return Name(token.pos, token.text if is_exact else token.word, is_exact)

    def _steps(self, *, allow_wildcards: bool) -> tuple[Step, ...]:
        steps: list[Step] = []
        while True:
            pos = self._token.pos
            if self._skip_op("."):
                steps.append(self._dotted(pos, allow_wildcards=allow_wildcards))
            elif self._skip_op("["):
                steps.append(self._bracketed(pos, allow_wildcards=allow_wildcards))
            else:
                return tuple(steps)

    def _dotted(self, pos: int, *, allow_wildcards: bool) -> Step:
        token = self._token
        if self._is_op("*"):
            if not allow_wildcards:
                raise self._error("ParseInvalidContextForWildcardInSelectList")
            self._at += 1
            return Wildcard(pos, is_array=False)
        if token.kind is Kind.QUOTED:
            self._at += 1
            return Name(token.pos, token.text, is_exact=True)
        if token.kind is Kind.WORD:
            if token.text in RESERVED:
                raise self._error(
                    "ParseUnExpectedKeyword", f"{token.text} is a reserved word; write it in double quotes"
                )
            self._at += 1
            return Name(token.pos, token.word, is_exact=False)
        raise self._error("ParseInvalidPathComponent")

    def _bracketed(self, pos: int, *, allow_wildcards: bool) -> Step:
        token = self._next()
        step: Step
        if token.kind is Kind.OP and token.text == "*":
            if not allow_wildcards:
                raise self._error("ParseCannotMixSqbAndWildcardInSelectList", at=token.pos)
            step = Wildcard(pos, is_array=True)
        elif token.kind is Kind.NUMBER and token.text.isdigit() and len(token.text) < 10:
            step = Index(pos, int(token.text))
        elif token.kind is Kind.STRING:
            step = Name(pos, token.text, is_exact=True)
        else:
            raise self._error("ParseInvalidPathComponent", at=token.pos)
        self._expect_op("]", "ParseInvalidPathComponent")
        return step

    # ---- functions

    def _case(self) -> Expr:
        pos = self._next().pos
        operand = None if self._is_word("WHEN", "END") else self._expression()
        if not self._is_word("WHEN"):
            raise self._error("ParseExpectedWhenClause")
        whens: list[When] = []
        while self._is_word("WHEN"):
            start = self._next().pos
            condition = self._expression()
            self._expect_word("THEN")
            whens.append(When(start, condition, self._expression()))
        default = self._expression() if self._skip_word("ELSE") else None
        self._expect_word("END")
        return Case(pos, operand, tuple(whens), default)

    def _call(self) -> Expr:
        token = self._next()
        self._at += 1
        name = token.text
        if name in AGGREGATES:
            return self._aggregate(token)
        if name == "CAST":
            return self._cast(token.pos)
        if name == "EXTRACT":
            return self._extract(token.pos)
        if name == "TRIM":
            return self._trim(token.pos)
        if name in DATE_FUNCTIONS:
            return self._date_function(token)
        if name not in FUNCTIONS:
            raise self._error("UnsupportedFunction", f"no such function: {token.word}", at=token.pos)
        args = self._substring() if name == "SUBSTRING" else self._arguments()
        least, most = FUNCTIONS[name]
        if len(args) < least or (most is not None and len(args) > most):
            raise self._error("EvaluatorInvalidArguments", f"{name} has the wrong number of arguments", at=token.pos)
        return Call(token.pos, "CHAR_LENGTH" if name == "CHARACTER_LENGTH" else name, args)

    def _arguments(self) -> tuple[Expr, ...]:
        if self._skip_op(")"):
            return ()
        args = [self._expression()]
        while not self._skip_op(")"):
            if not self._skip_op(","):
                is_end = self._token.kind is Kind.END
                raise self._error(
                    "ParseExpectedRightParenBuiltinFunctionCall" if is_end else "ParseExpectedArgumentDelimiter"
                )
            args.append(self._expression())
        return tuple(args)

    def _aggregate(self, token: Token) -> Expr:
        if self._skip_op("*"):
            if token.text != "COUNT":
                raise self._error("ParseUnsupportedCallWithStar", at=token.pos)
            self._expect_op(")", "ParseExpectedRightParenBuiltinFunctionCall")
            return Aggregate(token.pos, "COUNT", None)
        if self._is_word("DISTINCT", "ALL"):
            raise self._error("ParseUnsupportedSyntax", f"{self._token.text} is not supported in {token.text}")
        args = self._arguments()
        if len(args) != 1:
            raise self._error("ParseNonUnaryAgregateFunctionCall", at=token.pos)
        return Aggregate(token.pos, token.text, args[0])

    def _cast(self, pos: int) -> Expr:
        operand = self._expression()
        if not self._skip_word("AS"):
            raise self._error("ParseCastArity" if self._is_op(",") or self._is_op(")") else "ParseExpectedKeyword")
        target = self._type()
        if self._is_op(","):
            raise self._error("ParseCastArity")
        self._expect_op(")", "ParseExpectedRightParenBuiltinFunctionCall")
        return Cast(pos, operand, target)

    def _type(self) -> Type:
        token = self._next()
        if token.kind is not Kind.WORD:
            raise self._error("ParseExpectedTypeName", at=token.pos)
        if token.text not in TYPES:
            code = "InvalidDataType" if token.text in UNSUPPORTED_TYPES else "ParseExpectedTypeName"
            raise self._error(code, f"no such type: {token.word}", at=token.pos)
        if token.text == "DOUBLE":
            self._skip_word("PRECISION")
        if self._skip_op("("):
            self._type_parameters(token)
        return TYPES[token.text]

    def _type_parameters(self, token: Token) -> None:
        # User guide, "Data types": scale and precision are ignored when both are given.
        most = {"DECIMAL": 2, "DEC": 2, "NUMERIC": 2, "FLOAT": 1, "VARCHAR": 1, "CHAR": 1, "CHARACTER": 1, "STRING": 1}
        count = 0
        while count < most.get(token.text, 0):
            if self._token.kind is not Kind.NUMBER or not self._token.text.isdigit():
                raise self._error("ParseInvalidTypeParam")
            self._at += 1
            count += 1
            if not self._skip_op(","):
                break
        if not count or not self._skip_op(")"):
            raise self._error("ParseInvalidTypeParam")

    def _extract(self, pos: int) -> Expr:
        part = self._date_part(EXTRACT_PARTS)
        self._expect_word("FROM")
        operand = self._expression()
        self._expect_op(")", "ParseExpectedRightParenBuiltinFunctionCall")
        return Call(pos, "EXTRACT", (operand,), part)

    def _date_part(self, parts: frozenset[str]) -> str:
        if self._token.kind is not Kind.WORD or self._token.text not in parts:
            raise self._error("ParseExpectedDatePart")
        return self._next().text

    def _date_function(self, token: Token) -> Expr:
        part = self._date_part(DATE_PARTS)
        self._expect_op(",", "ParseExpectedArgumentDelimiter")
        args = self._arguments()
        if len(args) != 2:
            raise self._error("EvaluatorInvalidArguments", f"{token.text} takes three arguments", at=token.pos)
        return Call(token.pos, token.text, args, part)

    def _substring(self) -> tuple[Expr, ...]:
        first = self._expression()
        if not self._skip_word("FROM"):
            return (first, *self._arguments()) if self._skip_op(",") else self._no_start(first)
        args = [first, self._expression()]
        if self._skip_word("FOR"):
            args.append(self._expression())
        self._expect_op(")", "ParseExpectedRightParenBuiltinFunctionCall")
        return tuple(args)

    def _no_start(self, only: Expr) -> tuple[Expr, ...]:
        self._expect_op(")", "ParseExpectedArgumentDelimiter")
        return (only,)

    def _trim(self, pos: int) -> Expr:
        side = self._next().text if self._is_word("LEADING", "TRAILING", "BOTH") else ""
        if side and self._skip_word("FROM"):
            return self._trimmed(pos, side, None)
        first = self._expression()
        if self._skip_word("FROM"):
            return self._trimmed(pos, side or "BOTH", first)
        if side:
            raise self._error("ParseExpectedKeyword", "FROM was expected")
        self._expect_op(")", "ParseExpectedRightParenBuiltinFunctionCall")
        return Call(pos, "TRIM", (first,), "BOTH")

    def _trimmed(self, pos: int, side: str, characters: Expr | None) -> Expr:
        text = self._expression()
        self._expect_op(")", "ParseExpectedRightParenBuiltinFunctionCall")
        return Call(pos, "TRIM", (text,) if characters is None else (text, characters), side)
