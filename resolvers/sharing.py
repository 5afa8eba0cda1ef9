"""
One event, many who watch it: the answer is worked out and encoded once for all who ask the same and may see the same.

Who hears of an event at all is decided before, by the service, for each of them alone.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeAlias

import orjson
from graphql import DocumentNode, FieldNode, Visitor, visit

from domain.principal import Principal
from schema.files import FileEvent

Answer: TypeAlias = dict[str, Any] | orjson.Fragment

KEPT_MAX = 256  # answers
KEPT_SECONDS = 1.0  # an event is sent to everyone within moments; later the same event may show something else
# What tells each user something else about the same thing. A test asks for every other field as two users.
PERSONAL_FIELDS = frozenset({"memberships", "shareLinks", "files"})


class SharedAnswers:
    """Keeps the newest answers; whoever asks for one that is being worked out waits for it."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[Hashable, tuple[asyncio.Task[Answer], float]] = OrderedDict()

    async def get(self, key: Hashable, work_out: Callable[[], Awaitable[dict[str, Any]]]) -> Answer:
        """
        Give the answer of `key`, encoded.

        An answer with errors is given to nobody else: errors name the request they belong to.
        """
        now = asyncio.get_running_loop().time()
        self._forget(now)
        known = self._tasks.get(key)
        if known is None:
            task = asyncio.create_task(_encoded(work_out))
            self._tasks[key] = task, now
            return await asyncio.shield(task)
        answer = known[0].result() if known[0].done() else await asyncio.shield(known[0])
        return answer if isinstance(answer, orjson.Fragment) else await work_out()

    def _forget(self, now: float) -> None:
        while self._tasks:
            oldest, (_, begun) = next(iter(self._tasks.items()))
            if len(self._tasks) < KEPT_MAX and now - begun < KEPT_SECONDS:
                return
            del self._tasks[oldest]


async def _encoded(work_out: Callable[[], Awaitable[dict[str, Any]]]) -> Answer:
    answer = await work_out()
    return answer if "errors" in answer else orjson.Fragment(orjson.dumps(answer))


def key_of(payload: object) -> Hashable | None:
    """Name what an event shows, as far as the event itself goes; None: it is not shared."""
    if not isinstance(payload, FileEvent):
        return None
    return payload.cursor, None if payload.file is None else payload.file.version


def group_of(principal: Principal, *, is_personal: bool) -> Hashable:
    """Name those to whom a visible thing shows the same: in one tenant, with the same role and scopes."""
    user_id = principal.user_id if is_personal else None
    return principal.tenant_id, principal.role, principal.scopes, principal.upload_id, user_id


def is_personal(document: DocumentNode) -> bool:
    """Tell whether a document asks for something that differs from user to user."""
    search = _Search()
    visit(document, search)
    return search.found


class _Search(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.found = self.found or node.name.value in PERSONAL_FIELDS
