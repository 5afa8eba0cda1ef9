"""The interface of everything that has an id."""

import strawberry


@strawberry.interface(description="Anything that can be fetched again by its id.")
class Node:
    id: strawberry.ID = strawberry.field(description="Unique everywhere, URL-safe, with its type as a prefix.")
