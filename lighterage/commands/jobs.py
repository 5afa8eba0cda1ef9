"""The commands that work on jobs."""

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from domain.ids import uuid_of
from lighterage.commands.shell import NOTHING_EXIT, AsJson, errors, fail, load_settings, tell, with_product

if TYPE_CHECKING:
    from domain.file import File
    from domain.job import Job
    from lighterage.assembly import Product

FAILED_EXIT = 4  # the job was tried and failed

Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only jobs of this kind; may be given more than once.")]


def queue(kind: Kinds = None, as_json: AsJson = False) -> None:
    """
    Process one job, that which waits for the longest time.

    A kind that Lighterage can do it does; any other it calls done, as a system outside would. Exit code 3: no job
    waits; 4: it failed.
    """
    from jobs.handlers import BUILT_IN
    from jobs.worker import Worker
    from lighterage.processing import handlers_of
    from services.processing import Outcome

    settings = load_settings()

    async def work(product: "Product") -> "tuple[Job, File] | None":
        processor = product.processing.processor
        await processor.announce()
        received = await processor.receive(kinds=kind)
        if received is None:
            return None
        job, file = received
        able = handlers_of(settings, product.services.queries)
        if job.kind in able:
            done = await Worker(processor, able).do(job, file)
            return (done or job), file
        assert job.lease_id is not None
        if job.kind in BUILT_IN:
            # What nobody scanned must not be called scanned.
            error = f"jobs of kind {job.kind} cannot be done here, as it is set up"
            return await processor.reject(job, job.lease_id, error, may_retry=True), file
        return await processor.acknowledge(job, job.lease_id, Outcome({"by": "lighterage queue"})), file

    received = with_product(settings, work, with_sql=True)
    if received is None:
        errors.print("no job waits")
        raise typer.Exit(NOTHING_EXIT)
    job, file = received
    facts = {
        "file": file.id,
        "uuid": str(uuid_of(file.id)),
        "name": file.name,
        "job": job.id,
        "kind": job.kind,
        "status": job.status.value,
        "error": job.error,
    }
    tell(f"{facts['uuid']} {job.kind} {job.status.value} {file.name}", facts, as_json=as_json)
    if job.error is not None:
        fail(job.error, FAILED_EXIT)


def worker(
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=64, help="Jobs done at the same time.")] = 1,
    kind: Kinds = None,
) -> None:
    """Do jobs until stopped: those kinds that are set up here, as `scan` where LIGHTERAGE_CLAMD names a scanner."""
    from jobs.worker import Worker
    from lighterage.observability import configure_logging
    from lighterage.processing import handlers_of

    settings = load_settings()
    configure_logging("debug" if settings.debug else settings.log_level)

    async def work(product: "Product") -> None:
        able = handlers_of(settings, product.services.queries)
        unknown = sorted(set(kind or ()) - able.keys())
        if unknown:
            fail(f"this worker cannot do {', '.join(unknown)}; it can do {', '.join(sorted(able))}")
        chosen = {name: handler for name, handler in able.items() if kind is None or name in kind}
        working = asyncio.ensure_future(Worker(product.processing.processor, chosen).run(at_once=at_once))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, working.cancel)
        print(f"working on {', '.join(sorted(chosen))}", flush=True)
        await asyncio.wait({working})
        if not working.cancelled():
            working.result()

    with_product(settings, work, with_sql=True)
