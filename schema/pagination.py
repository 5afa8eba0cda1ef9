"""Lists a page at a time: our own generic connection, with `nodes` for those who write queries by hand."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import strawberry

from schema.directives import Cost
from schema.fields import computed

T = TypeVar("T")


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
    edges: list[Edge[T]] = strawberry.field(description="The nodes with their cursors.")
    nodes: list[T] = strawberry.field(description="The nodes alone.")
    page_info: PageInfo = strawberry.field(description="What lies around the page.")
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @computed(
        description="How many there are in all pages. Counted when asked for; leave it out where you can.",
        directives=[Cost(weight=10)],
    )
    async def total_count(self) -> int | None:
        return await self.count()


def connection(
    nodes: list[T], cursors: list[str], *, has_next: bool, has_previous: bool, count: Callable[[], Awaitable[int]]
) -> Connection[T]:
    """Make a page of nodes and the cursor of each."""
    return Connection(
        edges=[Edge(node=node, cursor=cursor) for node, cursor in zip(nodes, cursors, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=has_next,
            has_previous_page=has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        count=count,
    )
