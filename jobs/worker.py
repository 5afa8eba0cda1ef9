"""The loop that takes jobs off the queue and does them, some at once, each under a lease that it keeps extending."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from domain.errors import LeaseLost, LighterageError
from domain.file import File
from domain.job import Job
from jobs.handlers import Handler, JobRefused, Work
from services.processing import Outcome

PAUSE_SECONDS = 1.0  # how late a job may be begun
LEASE_SECONDS = 60.0
EXTEND_SECONDS = 20.0  # two tries more before a lease runs out

logger = logging.getLogger(__name__)


class Jobs(Protocol):
    async def announce(self) -> int: ...
    async def settle(self) -> int: ...
    async def receive(self, *, kinds: list[str], seconds: float) -> tuple[Job, File] | None: ...
    async def extend(self, job: Job, lease_id: str, *, seconds: float, progress: float | None) -> Job: ...
    async def acknowledge(self, job: Job, lease_id: str, outcome: Outcome) -> Job: ...
    async def reject(self, job: Job, lease_id: str, error: str, *, may_retry: bool) -> Job: ...
    def open(self, file: File) -> AsyncGenerator[bytes, None]: ...


class Worker:
    """
    Does the jobs of the kinds that it has handlers for.

    What a kill leaves undone is handed out again when its lease has run out; a stop gives it back at once.
    """

    def __init__(self, jobs: Jobs, handlers: Mapping[str, Handler], *, extend_seconds: float = EXTEND_SECONDS) -> None:
        self._jobs = jobs
        self._handlers = handlers
        self._extend_seconds = extend_seconds

    async def run(self, *, at_once: int = 1, pause_seconds: float = PAUSE_SECONDS) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._run(pause_seconds))

    async def _run(self, pause_seconds: float) -> None:
        while True:
            try:
                job = await self.work_once()
            except LighterageError as error:
                # A store that is away comes back; what was under way is handed out again.
                logger.warning("the worker was broken off: %s", error.message)
                job = None
            except Exception:
                # The error boundary of this face: a fault in one job must not end all later ones.
                logger.exception("the worker failed")
                job = None
            if job is None:
                await asyncio.sleep(pause_seconds)

    async def work_once(self) -> Job | None:
        """Do the job that waits for the longest time; None where there is none. Gives it as it is after."""
        await self._jobs.announce()
        received = await self._jobs.receive(kinds=list(self._handlers), seconds=LEASE_SECONDS)
        return await self.do(*received) if received is not None else None

    async def do(self, job: Job, file: File) -> Job | None:
        """Do a job that was received; None where its lease was lost on the way."""
        lease_id = job.lease_id
        assert lease_id is not None
        progress: list[float] = []
        keeping = asyncio.create_task(self._keep(job, lease_id, progress))
        work = Work(file, lambda: self._jobs.open(file), progress.append)
        doing = asyncio.ensure_future(self._handlers[job.kind](work))
        try:
            await asyncio.wait({keeping, doing}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                logger.warning("job %s was handed to another meanwhile", job.id)
                return None
            return await self._report(job, lease_id, doing)
        except asyncio.CancelledError:
            await self._jobs.reject(job, lease_id, "the worker was stopped", may_retry=True)
            raise
        except LeaseLost:
            logger.warning("job %s was handed to another meanwhile", job.id)
            return None
        finally:
            for task in (keeping, doing):
                task.cancel()
            await asyncio.gather(keeping, doing, return_exceptions=True)

    async def _report(self, job: Job, lease_id: str, doing: asyncio.Future[Outcome]) -> Job:
        try:
            outcome = doing.result()
        except JobRefused as error:
            return await self._jobs.reject(job, lease_id, str(error), may_retry=False)
        except LighterageError as error:
            return await self._jobs.reject(job, lease_id, error.message, may_retry=True)
        except Exception:
            logger.exception("job %s (%s) failed", job.id, job.kind)
            return await self._jobs.reject(job, lease_id, "something went wrong; the log has more", may_retry=True)
        return await self._jobs.acknowledge(job, lease_id, outcome)

    async def _keep(self, job: Job, lease_id: str, progress: list[float]) -> None:
        """Extend the lease, until it is lost."""
        while True:
            await asyncio.sleep(self._extend_seconds)
            try:
                last = progress[-1] if progress else None
                progress.clear()
                await self._jobs.extend(job, lease_id, seconds=LEASE_SECONDS, progress=last)
            except LeaseLost:
                return
            except LighterageError as error:
                logger.warning("the lease of job %s could not be extended: %s", job.id, error.message)
