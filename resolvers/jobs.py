"""Root fields of jobs."""

from typing import Annotated

import strawberry

from domain.errors import LighterageError, NotFound
from resolvers.context import Info
from resolvers.ids import parse_file_id
from schema.errors import refusal
from schema.jobs import ProcessingJob, RetryProcessingInput, RetryProcessingPayload


async def retry_processing(
    info: Info, input: Annotated[RetryProcessingInput, strawberry.argument(description="Which jobs.")]
) -> RetryProcessingPayload | None:
    service = info.context.services.processing
    try:
        jobs = await service.retry(info.context.principal, parse_file_id(input.file_id), kind=input.kind)
    except NotFound as error:
        return RetryProcessingPayload(user_errors=refusal(error, path=("fileId",)))
    except LighterageError as error:
        return RetryProcessingPayload(user_errors=refusal(error))
    return RetryProcessingPayload(jobs=[ProcessingJob.from_domain(job) for job in jobs])
