"""Fields that are worked out, not stored."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ParamSpec, TypeVar

import strawberry
from strawberry.types.field import StrawberryField

P = ParamSpec("P")
R = TypeVar("R")


def computed(
    *, description: str, directives: Sequence[object] = (), same_for: Callable[[Any], Hashable] | None = None
) -> Callable[[Callable[P, R]], Any]:
    """
    Make a method a field: Strawberry's own decorator, with types that mypy can follow.

    Args:
        same_for: Gives of a thing what alone decides about the field's value within one request: of fifty files of one
            tenant, the tenant is looked up and written once. Only for fields without arguments.
    """
    metadata = {} if same_for is None else {_SAME_FOR: same_for}
    decorate: Callable[[Callable[P, R]], Any] = strawberry.field(
        description=description, directives=directives, metadata=metadata
    )
    return decorate


_SAME_FOR = "same_for"


def key_of(field: StrawberryField) -> Callable[[Any], Hashable] | None:
    """Give the `same_for` of a field."""
    found: Callable[[Any], Hashable] | None = field.metadata.get(_SAME_FOR)
    return found
