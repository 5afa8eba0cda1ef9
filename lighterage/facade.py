"""What the REST face is made of: every operation over its service, and how a request's body reaches the store."""

import asyncio
from collections.abc import Sequence
from typing import Any

from lighterage.settings import Settings
from rest.contents import content_operation
from rest.directory import directory_operations
from rest.files import file_operations
from rest.incoming import IncomingBody, OpenBody, Receiver
from rest.jobs import job_operations
from rest.links import link_operations
from rest.manifests import manifest_operation
from rest.maps import map_operations
from rest.numbered import numbered_operations
from rest.openapi import openapi_operation
from rest.operations import Operation
from rest.queries import query_operations
from rest.receipts import receipt_operation
from rest.sessions import registration_operations, session_operations
from rest.transfers import transfer_operations
from rest.webhooks import webhook_operations
from services import Services
from upload.body import PIPED_BYTES_MIN, BodyReader
from upload.protocol.message import Headers, parse_body_length


def rest_operations(
    services: Services,
    settings: Settings,
    *,
    health: Sequence[Operation],
    upload_url: str,
    stopping: asyncio.Event,
) -> list[Operation]:
    """Give every operation of the REST face, in the order in which they are documented."""
    open_body = body_opener(settings)
    receiver = Receiver(services.posting, open_body)
    operations = [
        *registration_operations(services.registration),
        *session_operations(services.accounts),
        *file_operations(services.files, receiver),
        content_operation(services.files),
        manifest_operation(services.manifests),
        receipt_operation(services.receipts),
        *query_operations(services.queries, services.saving),
        *link_operations(services.shares, services.files),
        *transfer_operations(
            services.uploads,
            services.tenants,
            services.files,
            services.accounts,
            upload_url=upload_url,
            stopping=stopping,
        ),
        *numbered_operations(services.files, receiver),
        *job_operations(services.processing),
        *webhook_operations(services.webhooks),
        *map_operations(services.files, receiver),
        *directory_operations(services.directory, open_body),
        *health,
    ]
    return [*operations, openapi_operation(operations)]


def body_opener(settings: Settings) -> OpenBody:
    """Give what reads the bodies of files that come in one request: the same that reads those of uploads."""

    def open_body(scope: Any, receive: Any) -> IncomingBody:
        length = parse_body_length(Headers(scope["headers"]), http_version=scope.get("http_version", "1.1"))
        open_pipe = scope.get("lighterage.pipe")
        is_large = length is not None and length >= PIPED_BYTES_MIN
        return BodyReader(
            receive,
            length=length,
            idle_timeout_seconds=settings.body_idle_seconds,
            rate_min_bytes_per_second=settings.body_rate_min,
            pipe=open_pipe() if open_pipe is not None and is_large else None,
        )

    return open_body
