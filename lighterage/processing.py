"""How jobs are put together: their queue, who takes their outcome, who may ask about them, and who does them."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec

from adapters.images.pillow import PillowPictures
from adapters.queues.embedded import EmbeddedQueue
from adapters.scanning.clamd import Clamd
from domain.blob import BlobStore
from domain.clock import Clock
from domain.event import EventBus
from domain.job import JobQueue, parse_rules
from domain.records import Records
from jobs.handlers import Handler, handlers
from jobs.worker import Worker
from lighterage.settings import Settings, parse_sqs_queues, revealed
from services.processing import ProcessingService, Processor
from services.queries import QueryService


@dataclass(frozen=True, slots=True)
class Processing:
    processor: Processor
    service: ProcessingService

    @property
    def chores(self) -> tuple[Callable[[], Awaitable[int]], ...]:
        """What has to be done about jobs though nobody asks."""
        return (self.processor.settle, self.processor.announce)


def open_processing(
    stack: AsyncExitStack, settings: Settings, records: Records, blobs: BlobStore, bus: EventBus, clock: Clock
) -> Processing:
    queue = _open_queue(stack, settings, records, clock)
    processor = Processor(records=records, blobs=blobs, queue=queue, bus=bus, clock=clock)
    return Processing(processor, ProcessingService(records=records, processor=processor, bus=bus, clock=clock))


def _open_queue(stack: AsyncExitStack, settings: Settings, records: Records, clock: Clock) -> JobQueue:
    if not settings.sqs_queues:
        return EmbeddedQueue(records=records, clock=clock)
    from adapters.queues.sqs import SqsQueue, SqsSettings

    sqs = SqsSettings(
        queues=parse_sqs_queues(settings.sqs_queues),
        region=settings.s3_region,
        endpoint=settings.sqs_endpoint,
        access_key=settings.s3_access_key_id,
        secret_key=revealed(settings.s3_secret_access_key),
        session_token=revealed(settings.s3_session_token),
    )
    queue = SqsQueue(sqs, records=records, clock=clock)
    stack.callback(queue.close)
    return queue


def handlers_of(settings: Settings, queries: QueryService) -> Mapping[str, Handler]:
    """Give what this process can do itself, as it is set up."""
    return handlers(
        scanner=None if settings.clamd is None else Clamd(settings.clamd, bytes_max=settings.scan_bytes_max),
        pictures=PillowPictures(pixels_max=settings.image_pixels_max) if find_spec("PIL") is not None else None,
        profiler=queries if settings.query_workers > 0 else None,
    )


def worker_beside_requests(settings: Settings, processing: Processing, queries: QueryService) -> Worker | None:
    """Give the worker of the serving process; None where it would have nothing to do."""
    able = handlers_of(settings, queries)
    if settings.worker_jobs == 0 or not able.keys() & parse_rules(settings.processing).kinds:
        return None
    return Worker(processing.processor, able)
