"""What clients send, held against the models that also describe it: query strings and JSON bodies."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError
from starlette.requests import Request

from domain.errors import InvalidValue
from rest.bodies import read_body

M = TypeVar("M", bound=BaseModel)
INT64_MAX = 2**63 - 1  # what every database keeps


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this is no time that could be kept") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time with its zone, as `2026-12-24T18:00:00Z`; handed on in UTC."""

Size = Annotated[int, Field(ge=0, le=INT64_MAX)]


def read_query(request: Request, model: type[M]) -> M:
    """
    Read the query string.

    Raises:
        InvalidValue: A value cannot be; the path names the parameter.
    """
    return parse(model.model_validate, dict(request.query_params))


def read_fields(fields: Mapping[str, str], model: type[M]) -> M:
    """Read the fields of a form, as `read_query` does; an empty one counts as not given."""
    return parse(model.model_validate, {name: text for name, text in fields.items() if text})


async def read_model(request: Request, model: type[M]) -> M:
    """
    Read a body that is a JSON object.

    Raises:
        InvalidValue: It is none, or a field cannot be; the path names it.
        LengthExceeded: It is too long.
    """
    return parse(model.model_validate_json, await read_body(request))


def parse(validate: Callable[[Any], M], value: object) -> M:
    try:
        return validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = tuple(str(step)[:60] for step in first["loc"])
        reason = {"missing": "required"}.get(first["type"], "invalid")
        where = ".".join(path) or "the body"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        message = f"{where}: {first['msg'].removeprefix('Value error, ')}{more}"
        raise InvalidValue(message, path=path, reason=reason) from error
