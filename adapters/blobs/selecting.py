"""SQL that S3 runs itself over an object (SelectObjectContent), for stores that do it as AWS does."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, EventStreamError
from urllib3.exceptions import HTTPError

from adapters.blobs.bucket import Bucket, Refused
from domain.blob import SelectCounts
from domain.errors import NotFound, SqlInvalid, StoreUnavailable


async def select(bucket: Bucket, key: str, request: Mapping[str, object]) -> AsyncGenerator[bytes | SelectCounts, None]:
    """As domain.blob.SelectingBlobStore.select; `key` is the object's."""
    try:
        answer = await bucket.call("select_object_content", Key=key, ExpressionType="SQL", **request)
    except Refused as refusal:
        if refusal.is_missing:
            raise NotFound("blob") from refusal
        raise SqlInvalid("the store refused the query", sql_code=refusal.reason) from refusal
    payload = answer["Payload"]
    events = iter(payload)
    is_whole = False
    try:
        while (event := await _next(events)) is not None:
            if "Records" in event:
                yield event["Records"]["Payload"]
            for name in ("Progress", "Stats"):
                if name in event:
                    counts = event[name]["Details"]
                    yield SelectCounts(counts["BytesScanned"], counts["BytesProcessed"], counts["BytesReturned"])
            is_whole = is_whole or "End" in event
    finally:
        payload.close()
    if not is_whole:
        # AWS: without the End event the request did not finish, and must be made again.
        raise StoreUnavailable("blob store")


async def _next(events: Any) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] | None = await asyncio.to_thread(next, events, None)
    except EventStreamError as error:
        told = error.response["Error"]
        raise SqlInvalid(str(told.get("Message", "")), sql_code=str(told.get("Code", "InternalError"))) from error
    except (BotoCoreError, HTTPError, OSError) as error:
        raise StoreUnavailable("blob store") from error
    return event
