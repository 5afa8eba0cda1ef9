"""What the server counts: rows of several processes, added up and written down as Prometheus reads it."""

from datetime import timedelta
from typing import cast

from prometheus_client.parser import text_string_to_metric_families

from domain.errors import StoreUnavailable
from domain.ids import FileId, JobId
from domain.job import Job
from domain.page import Condition, Order
from domain.records import Records
from lighterage.gauges import QueueGauge
from lighterage.metrics import (
    BUFFER_BYTES,
    COUNTED,
    SECONDS,
    STORE_RETRIES,
    UPLOADED_BYTES,
    Board,
    Exposition,
    Meters,
    exposition,
)
from tests.support.product import FakeClock


def told(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read an exposition with Prometheus's own parser."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(text: bytes, name: str, **labels: str) -> float:
    return told(text)[name, frozenset(labels.items())]


def test_rows_of_all_processes_are_added_up():
    """Whichever process is asked, it tells of all."""
    board = Board(2)
    first, second = board.row(0), board.row(1)
    first.request("/graphql", is_upload=False, status=200, seconds=0.015625)
    second.request("/graphql", is_upload=False, status=200, seconds=0.375)
    second.request("/files/x", is_upload=True, status=204, seconds=400.0)

    text = exposition(board)

    assert 2 == value(text, "lighterage_requests_total", face="graphql", status="200")
    assert 1 == value(text, "lighterage_requests_total", face="uploads", status="204")
    assert 1 == value(text, "lighterage_request_seconds_bucket", face="graphql", le="0.025")
    assert 2 == value(text, "lighterage_request_seconds_bucket", face="graphql", le="0.5")
    assert 0.390625 == value(text, "lighterage_request_seconds_sum", face="graphql")
    assert 0 == value(text, "lighterage_request_seconds_bucket", face="uploads", le=str(SECONDS[-1]))
    assert 1 == value(text, "lighterage_request_seconds_bucket", face="uploads", le="+Inf")
    assert 1 == value(text, "lighterage_request_seconds_count", face="uploads")


def test_counters_of_a_killed_process_stay_and_its_gauges_do_not():
    """A counter that fell would look like a restart of everything; what a dead process held is gone."""
    board = Board(2)
    killed = Meters(board, board.row(1))
    killed.row.retried()
    killed.row.sampled = {UPLOADED_BYTES: lambda: 1000, BUFFER_BYTES: lambda: 7}
    killed.row.sample()

    successor = board.row(1)
    successor.retried()
    successor.sampled = {UPLOADED_BYTES: lambda: 50, BUFFER_BYTES: lambda: 1}
    successor.sample()
    successor.sample()

    text = exposition(board)
    assert 2 == value(text, STORE_RETRIES.name)
    assert 1050 == value(text, UPLOADED_BYTES.name)
    assert 1 == value(text, BUFFER_BYTES.name)


def test_what_is_not_in_the_tables_is_counted_too():
    """A status that nobody thought of, and a request that was never answered."""
    board = Board()
    row = board.row(0)
    row.request("/x", is_upload=False, status=418, seconds=0)
    row.request("/x", is_upload=False, status=None, seconds=0)

    text = exposition(board)

    assert 1 == value(text, "lighterage_requests_total", face="rest", status="other")
    assert 1 == value(text, "lighterage_requests_total", face="rest", status="none")


def test_faults_are_told_before_the_first():
    """Prometheus's `rate` does not see the first of a series that was not there before."""
    assert 0 == value(exposition(Board()), "lighterage_requests_total", face="uploads", status="503")


async def test_who_asks_is_told_of_this_moment():
    """The process that answers need not wait for the next second."""
    meters = Meters.alone()
    meters.row.sampled = {BUFFER_BYTES: lambda: 3}

    text = await Exposition(meters)()

    assert 3 == value(text, BUFFER_BYTES.name)
    assert 1 < value(text, "lighterage_process_resident_bytes", process="0")


def test_every_metric_says_what_it_is():
    """In one sentence, which a dashboard shows."""
    assert [metric.name for metric in COUNTED if metric.help and not metric.help.endswith(".")] == []


class FakeJobs:
    """Records of jobs, or a database that is away."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = jobs
        self.scans = 0
        self.is_away = False

    def collection(self, _kind: object) -> "FakeJobs":
        return self

    async def scan(self, where: list[Condition], *, order: Order, limit: int) -> list[Job]:
        if self.is_away:
            raise StoreUnavailable("records")
        self.scans += 1
        (condition,) = where
        found = [job for job in self.jobs if job.status is condition.value]
        return sorted(found, key=lambda job: job.queued_at)[:limit]


async def test_queue_is_told_and_not_asked_with_every_scrape():
    """Counting is reading; a database that is away does not keep the other numbers back."""
    clock = FakeClock()
    waiting = [
        Job(JobId(f"job_{n}"), "ten_1", FileId("file_1"), "scan", clock.now() - timedelta(seconds=n), clock.now())
        for n in (5, 90)
    ]
    jobs, now = FakeJobs(*waiting), [0.0]
    gauge = QueueGauge(cast("Records", jobs), clock, monotonic=lambda: now[0])

    text = exposition(Board(), await gauge())
    assert 2 == value(text, "lighterage_queue_jobs", state="queued")
    assert 0 == value(text, "lighterage_queue_jobs", state="failed")
    assert 90 == value(text, "lighterage_queue_oldest_seconds")

    scans = jobs.scans
    await gauge()
    assert scans == jobs.scans
    now[0], jobs.is_away = 11.0, True
    assert [] == await gauge()
