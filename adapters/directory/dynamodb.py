"""
Profiles in a table of DynamoDB's: one item each, of exactly three texts, `name`, `email` and `avatar_url`.

The table's key is `email`. It is made by whoever runs the server (deploy/terraform), who has it encrypted at rest.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from domain.errors import Conflict, StoreUnavailable
from domain.profile import PROFILES_MAX, Profile

TIMEOUT_SECONDS = 5
ATTEMPTS_MAX = 3


class DynamoDirectory:
    """Every tenant's directory is the same one: the items have no room for a tenant."""

    def __init__(
        self,
        table: str,
        *,
        region: str,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        session_token: str | None = None,
    ) -> None:
        self._table = table
        self._client: Any = boto3.client(
            "dynamodb",
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=session_token,
            config=Config(
                connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS, retries={"max_attempts": ATTEMPTS_MAX}
            ),
        )

    def close(self) -> None:
        self._client.close()

    async def add(self, tenant_id: str, profile: Profile, *, now: datetime) -> None:
        item = {"name": profile.name, "email": profile.email, "avatar_url": profile.avatar_url}
        await self._ask(
            "put_item",
            Item={name: {"S": value} for name, value in item.items()},
            ConditionExpression="attribute_not_exists(email)",
        )

    async def list_all(self, tenant_id: str) -> Sequence[Profile]:
        found: list[Profile] = []
        more: dict[str, Any] = {}
        while len(found) < PROFILES_MAX:
            page = await self._ask("scan", ConsistentRead=True, **more)
            found += [Profile(item["name"]["S"], item["email"]["S"], item["avatar_url"]["S"]) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        return found

    async def _ask(self, method: str, **arguments: Any) -> Any:
        try:
            return await asyncio.to_thread(getattr(self._client, method), TableName=self._table, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise Conflict("this e-mail address has a profile already") from error
            raise StoreUnavailable("directory") from error
        except BotoCoreError as error:
            raise StoreUnavailable("directory") from error
