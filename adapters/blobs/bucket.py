"""
One bucket: requests that are retried, and whose faults are ours.

Bodies go out through `wire`; everything else is boto3's, in threads. What a blob is made of is not known here.
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError

from adapters.blobs.parts import PART_SIZE_BYTES, PART_SIZE_BYTES_MAX, Part
from adapters.blobs.signing import Credentials
from adapters.blobs.wire import Answer, Starved, Wire
from domain.clock import Clock
from domain.errors import StoreFull, StoreUnavailable

T = TypeVar("T")

READ_BYTES = 2**20  # of one read of a download
BACK_OFF_SECONDS_MAX = 5.0
CALL_THREADS_MAX = 8

# Answers that another try may turn into a good one.
_RETRIED = frozenset({"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "OperationAborted"})
_FULL = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "XMinioStorageQuotaExceeded"})
_GONE = (OSError, HTTPClientError, IncompleteReadError)
_CODE = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """
    Where blobs go, and how.

    Attributes:
        endpoint: URL of another server than AWS's; None for AWS.
        access_key, secret_key: None to look where boto3 looks: environment, profile, role of the machine.
        prefix: Before every key, with its slash at the end. Everything below it is ours, and `sweep` removes what
            nobody knows: leave it empty only for a bucket that nobody else uses.
        path_style: Whether the bucket stands in the path; None: only with an endpoint of one's own.
        sse: `AES256`, `aws:kms` or None for what the bucket does by itself.
        payload_signed: Whether SHA-256 of bodies is signed, 0.6 CPU s/GiB; None: where neither TLS nor the loopback
            vouches for them already.
        conditional_writes: Whether the server knows `If-None-Match: *`; without, a blob may replace another.
        part_size_bytes: Wanted size of a part; larger when the length asks for it.
        parts_equal: Whether all parts but the last must have one size (Cloudflare R2).
        part_slots_max: Parts that this process holds in memory, `part_size_bytes` each; others wait in files.
        sendings_max: Parts of one append on their way at once.
        connections_max: Requests with bodies at once, of this process.
        timeout_seconds: Without a byte from the server.
        attempts_max: Of a request, before the store is called unavailable.
        back_off_seconds: Before the second attempt; doubled after each.
    """

    bucket: str
    region: str = "us-east-1"
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    prefix: str = ""
    path_style: bool | None = None
    sse: str | None = None
    sse_kms_key_id: str | None = None
    storage_class: str | None = None
    payload_signed: bool | None = None
    conditional_writes: bool = True
    part_size_bytes: int = PART_SIZE_BYTES
    part_size_bytes_max: int = PART_SIZE_BYTES_MAX
    parts_equal: bool = False
    part_slots_max: int = 8
    sendings_max: int = 2
    connections_max: int = 64
    timeout_seconds: float = 30.0
    attempts_max: int = 5
    back_off_seconds: float = 0.1

    @property
    def url(self) -> str:
        """What comes before a key."""
        endpoint = self.endpoint or f"https://s3.{self.region}.amazonaws.com"
        if self.is_path_style:
            return f"{endpoint.rstrip('/')}/{self.bucket}"
        scheme, _, host = endpoint.rstrip("/").partition("://")
        return f"{scheme}://{self.bucket}.{host}"

    @property
    def is_path_style(self) -> bool:
        # A dot in the name fails the certificate of *.s3.amazonaws.com.
        return self.path_style if self.path_style is not None else bool(self.endpoint) or "." in self.bucket

    @property
    def is_payload_signed(self) -> bool:
        if self.payload_signed is not None:
            return self.payload_signed
        address = urlsplit(self.url)
        return address.scheme != "https" and address.hostname not in {"127.0.0.1", "::1", "localhost"}


class StoreObserver(Protocol):
    """Counts what the store makes us wait for; called from the event loop, and never fails."""

    def part_sent(self, seconds: float) -> None:
        """A part or object has arrived, so long after it was whole."""
        ...

    def retried(self) -> None:
        """A call failed and will be tried again."""
        ...


class Refused(StoreUnavailable):
    """
    S3 understood and said no, which mostly tells something; where nobody asks, the store is of no use.

    Attributes:
        reason: Its error code, or the status where it gave none.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("blob store")
        self.reason = reason

    @property
    def is_missing(self) -> bool:
        return self.reason in {"NoSuchKey", "NotFound", "NoSuchUpload", "404"}

    @property
    def is_conflict(self) -> bool:
        return self.reason in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class Bucket:
    """
    Args:
        session: For boto3's client; one of its own if none is given.

    Raises (from every method): Refused; StoreFull and StoreUnavailable, the latter after `attempts_max` tries.
    """

    def __init__(
        self,
        settings: S3Settings,
        *,
        clock: Clock,
        session: boto3.Session | None = None,
        observer: StoreObserver | None = None,
    ) -> None:
        self._observer = observer
        self.settings = settings
        self._clock = clock
        self._session = session or boto3.Session()

    async def __aenter__(self) -> Self:
        self._callers = ThreadPoolExecutor(CALL_THREADS_MAX, thread_name_prefix="s3-call")
        await self._in_thread(self._open)
        settings = self.settings
        self._wire = Wire(
            settings.url,
            region=settings.region,
            credentials=self._credentials(),
            clock=self._clock,
            signs_payload=settings.is_payload_signed,
            timeout_seconds=settings.timeout_seconds,
            connections_max=settings.connections_max,
        )
        return self

    def _open(self) -> None:
        settings = self.settings
        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},  # we retry ourselves, without holding a thread
            connect_timeout=settings.timeout_seconds,
            read_timeout=settings.timeout_seconds,
            max_pool_connections=CALL_THREADS_MAX,
            s3={"addressing_style": "path" if settings.is_path_style else "virtual"},
            signature_version="s3v4",  # signed addresses would be of version 2 otherwise, which few still take
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._client = self._session.client(
            "s3",
            region_name=settings.region,
            endpoint_url=settings.endpoint,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            aws_session_token=settings.session_token,
            config=config,
        )

    def _credentials(self) -> Callable[[], Credentials]:
        settings = self.settings
        if settings.access_key and settings.secret_key:
            fixed = Credentials(settings.access_key, settings.secret_key, settings.session_token)
            return lambda: fixed
        found = self._session.get_credentials()
        if found is None:
            raise StoreUnavailable("blob store")

        def current() -> Credentials:
            frozen = found.get_frozen_credentials()
            return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

        return current

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.close()
        await asyncio.to_thread(self._callers.shutdown)
        self._client.close()

    # ---- requests

    @property
    def takes_early(self) -> bool:
        """Tell whether `put` would begin at once with a part that is still being filled."""
        return self._wire.takes_early

    async def put(
        self,
        key: str,
        part: Part | None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """
        Send an object, or a part of one, and give its ETag without quotes.

        A part that is not sealed is sent as it fills; after a fault it waits until it is. A cancellation stops what is
        on its way; S3 may have it all the same.
        """
        send = partial(self._wire.put, key, part, query=query or {}, headers=headers or {})
        tries = 0

        async def attempt() -> str:
            nonlocal tries
            tries += 1
            if part is not None and tries > 1:
                await part.sealed()
            try:
                return _etag(await send())
            except Starved:
                assert part is not None
                await part.sealed()
                return _etag(await send())

        now = asyncio.get_running_loop().time
        began = now()
        etag = await self._retrying(attempt)
        if self._observer is not None:
            # Until it was sealed, a part that was sent while it filled waited for the client.
            whole = began if part is None else max(began, part.sealed_at)
            self._observer.part_sent(now() - whole)
        return etag

    async def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call an operation of boto3's client on this bucket."""
        method = partial(getattr(self._client, operation), Bucket=self.settings.bucket, **arguments)

        async def attempt() -> dict[str, Any]:
            answer: dict[str, Any] = await self._in_thread(method)
            return answer

        return await self._retrying(attempt)

    async def presigned(self, key: str, *, seconds: int, **arguments: str) -> str:
        """Sign an address of an object; asks nobody, but perhaps for the credentials to sign with."""
        parameters = {"Bucket": self.settings.bucket, "Key": key, **arguments}
        method = partial(
            self._client.generate_presigned_url, "get_object", Params=parameters, ExpiresIn=seconds, HttpMethod="GET"
        )
        address: str = await self._in_thread(method)
        return address

    async def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield an object's bytes in chunks of at most READ_BYTES; a stream that breaks off is gone on with."""
        condition: dict[str, str] = {}
        tries = 0
        while end is None or start < end:
            wanted = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
            try:
                answer = await self.call("get_object", Key=key, **wanted, **condition)
            except Refused as refusal:
                if refusal.reason in {"InvalidRange", "416"}:
                    return
                raise
            # The rest must be of the same object as the beginning.
            condition = {"IfMatch": answer["ETag"]} if "ETag" in answer else {}
            try:
                while chunk := await self._in_thread(answer["Body"].read, READ_BYTES):
                    yield chunk
                    start += len(chunk)
                    tries = 0
            except _GONE as error:
                tries += 1
                if tries >= self.settings.attempts_max:
                    raise StoreUnavailable("blob store") from error
                await self._back_off(tries)
                continue
            finally:
                answer["Body"].close()
            return

    # ---- trying again

    async def _retrying(self, attempt: Callable[[], Awaitable[T]]) -> T:
        for tries in range(1, self.settings.attempts_max + 1):
            try:
                return await attempt()
            except ClientError as error:
                fault = _refusal(
                    str(error.response.get("Error", {}).get("Code", "")),
                    int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)),
                )
                last: Exception = error
            except _Unhappy as error:
                fault, last = _refusal(error.code, error.status), error
            except _GONE as error:
                fault, last = None, error
            except BotoCoreError as error:
                raise StoreUnavailable("blob store") from error
            if fault is not None:
                raise fault from last
            if tries == self.settings.attempts_max:
                raise StoreUnavailable("blob store") from last
            if self._observer is not None:
                self._observer.retried()
            await self._back_off(tries)
        raise AssertionError("unreachable")

    async def _back_off(self, tries: int) -> None:
        seconds = min(self.settings.back_off_seconds * 2 ** (tries - 1), BACK_OFF_SECONDS_MAX)
        # Without chance in it all who were turned away at once come back at once.
        await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311

    async def _in_thread(self, work: Callable[..., T], *args: Any) -> T:
        """Run in a thread to the end, also when nobody waits any more."""
        future = asyncio.get_running_loop().run_in_executor(self._callers, work, *args)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(future)


class _Unhappy(Exception):
    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code, self.status = code, status


def _etag(answer: Answer) -> str:
    etag = answer.headers.get("etag", "").strip('"')
    if answer.status == 200 and etag:
        return etag
    code = _CODE.search(answer.body)
    raise _Unhappy(code[1].decode() if code else "", answer.status)


def _refusal(code: str, status: int) -> Exception | None:
    """Turn an answer into a fault, or into None where another try is worth it."""
    if code in _FULL or status == 507:
        return StoreFull()
    if code in _RETRIED or status in {408, 429, 200} or (status >= 500 and status != 501):
        return None
    if status in {404, 409, 412, 416, 501} and code != "NoSuchBucket":
        return Refused(code or str(status))
    # Wrong keys, no rights, no bucket: nothing that a client could mend.
    return StoreUnavailable("blob store")
