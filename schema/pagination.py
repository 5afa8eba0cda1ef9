"""Lists a page at a time: our own generic connection, with `nodes` for those who write queries by hand."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import strawberry

from domain.errors import CursorInvalid, InvalidValue
from domain.page import PAGE_SIZE_MAX, Page
from schema.directives import Cost
from schema.fields import computed

T = TypeVar("T")
R = TypeVar("R")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="There is more behind this page.")
    has_previous_page: bool = strawberry.field(description="There is more ahead of this page.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first node; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last node: pass it as `after`.")


@strawberry.type(description="A node in its place.")
class Edge(Generic[T]):
    node: T = strawberry.field(description="The thing itself.")
    cursor: str = strawberry.field(description="Its place: good for `after` and `before` of the same list.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    nodes: list[T] = strawberry.field(description="The nodes alone.")
    has_next: strawberry.Private[bool]
    has_previous: strawberry.Private[bool]
    # A cursor costs more than the rest of a row, and most pages need two of them.
    cursor_at: strawberry.Private[Callable[[int], str]]
    count: strawberry.Private[Callable[[], Awaitable[int | None]]]

    @computed(description="The nodes with their cursors.")
    def edges(self) -> list[Edge[T]]:
        return [Edge(node=node, cursor=self.cursor_at(place)) for place, node in enumerate(self.nodes)]

    @computed(description="What lies around the page.")
    def page_info(self) -> PageInfo:
        return PageInfo(
            has_next_page=self.has_next,
            has_previous_page=self.has_previous,
            start_cursor=self.cursor_at(0) if self.nodes else None,
            end_cursor=self.cursor_at(len(self.nodes) - 1) if self.nodes else None,
        )

    @computed(
        description="How many there are in all pages. Counted when asked for; leave it out where you can.",
        directives=[Cost(weight=10)],
    )
    async def total_count(self) -> int | None:
        return await self.count()


def connection(
    page: Page[R], node_of: Callable[[R], T], *, cursor_at: Callable[[int], str], count: Callable[[], Awaitable[int]]
) -> Connection[T]:
    """Make a connection of a page of records."""
    return Connection(
        nodes=[node_of(record) for record in page.items],
        has_next=page.has_next,
        has_previous=page.has_previous,
        cursor_at=cursor_at,
        count=count,
    )


def whole_page(nodes: Sequence[T], *, cursors: Sequence[str], first: int, after: str | None) -> Connection[T]:
    """Cut a page out of a list that is short, and here as a whole. `cursors` are the ids of what is listed."""
    if not 0 < first <= PAGE_SIZE_MAX:
        raise InvalidValue(f"first must be from 1 to {PAGE_SIZE_MAX}", path=("first",), reason="out_of_range")
    if after is not None and after not in cursors:
        raise CursorInvalid("this cursor was not made by this list", path=("after",))
    start = 0 if after is None else cursors.index(after) + 1

    async def count() -> int:
        return len(nodes)

    return Connection(
        nodes=list(nodes[start : start + first]),
        has_next=start + first < len(nodes),
        has_previous=start > 0,
        cursor_at=lambda place: cursors[start + place],
        count=count,
    )
