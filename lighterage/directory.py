"""How the directory is put together: where profiles are kept, what reads pictures, and where avatars are found."""

import asyncio
from contextlib import AsyncExitStack
from importlib.util import find_spec

from adapters.directory.recorded import RecordedDirectory
from adapters.images.pillow import PillowPictures
from domain.blob import BlobStore
from domain.clock import Clock
from domain.profile import Directory
from domain.records import Records
from lighterage.settings import Settings, revealed
from services.directory import DirectoryService

AT_AWS = "https://{bucket}.s3.{region}.amazonaws.com/{key}"


async def open_directory(
    stack: AsyncExitStack, settings: Settings, records: Records, blobs: BlobStore, clock: Clock, *, public_url: str
) -> DirectoryService:
    """Open the directory that the settings name."""
    return DirectoryService(
        directory=await _open(stack, settings, records),
        blobs=blobs,
        pictures=PillowPictures(pixels_max=settings.image_pixels_max) if find_spec("PIL") is not None else None,
        clock=clock,
        is_open=settings.open_users,
        avatar_url=_avatar_url(settings, public_url),
    )


async def _open(stack: AsyncExitStack, settings: Settings, records: Records) -> Directory:
    if settings.users_table is None:
        return RecordedDirectory(records)
    from adapters.directory.dynamodb import DynamoDirectory

    directory = await asyncio.to_thread(
        DynamoDirectory,
        settings.users_table,
        region=settings.s3_region,
        endpoint=settings.dynamodb_endpoint,
        access_key=settings.s3_access_key_id,
        secret_key=revealed(settings.s3_secret_access_key),
        session_token=revealed(settings.s3_session_token),
    )
    stack.callback(directory.close)
    return directory


def _avatar_url(settings: Settings, public_url: str) -> str:
    """Give the template with all but key and name filled in."""
    template = settings.avatar_url
    if template is None:
        is_at_aws = settings.s3_bucket is not None and settings.s3_endpoint is None
        template = AT_AWS if is_at_aws else public_url + "/avatars/{name}"
    filled = template.replace("{bucket}", settings.s3_bucket or "").replace("{region}", settings.s3_region)
    return filled.replace("{key}", settings.s3_prefix + "{key}")
