"""
What the server counts of itself, and how it tells: Prometheus's text format.

Every process at one address has a row of numbers in memory that all of them share; whichever is asked adds the rows up.
A number is an address in the row, so that counting costs a fifth of a microsecond and no lock: each row has one writer.
Rows outlive a process that was killed: its successor goes on with them. Nothing in here names a tenant, user or file.
"""

import mmap
import os
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
FACES = ("uploads", "graphql", "rest", "probes")
STATUSES = (
    *("200", "201", "202", "204", "206", "302", "303", "304", "307", "400", "401", "403", "404", "405", "408", "409"),
    *("410", "412", "413", "415", "416", "422", "423", "429", "431", "460", "500", "501", "502", "503", "504", "507"),
    *("none", "other"),
)
"""`none`: the client went away before there was an answer."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_FACE_OF = {
    **dict.fromkeys(("/graphql", "/graphql/"), "graphql"),
    **dict.fromkeys(("/healthz", "/readyz", "/startupz", "/metrics"), "probes"),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """
    One name in the exposition.

    Attributes:
        labels: Names of its labels, which have the values of `series`, one tuple each.
        kind: A histogram is of seconds.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    series: tuple[tuple[str, ...], ...] = ((),)

    @property
    def width(self) -> int:
        """How many numbers one of its series takes in a row: of a histogram each bucket and the sum."""
        return len(SECONDS) + 2 if self.kind == "histogram" else 1


REQUESTS = Metric(
    "lighterage_requests_total",
    "counter",
    "Requests that ended, by face and status.",
    ("face", "status"),
    tuple((face, status) for face in FACES for status in STATUSES),
)
REQUEST_SECONDS = Metric(
    "lighterage_request_seconds",
    "histogram",
    "From a request's head to the end of its answer, its body included.",
    ("face",),
    tuple((face,) for face in FACES),
)
UPLOADED_BYTES = Metric(
    "lighterage_received_bytes_total", "counter", "Bytes of uploads' bodies that came, those under way included."
)
UPLOADS_IN_FLIGHT = Metric("lighterage_uploads_in_flight", "gauge", "Requests whose body is being received.")
PART_SECONDS = Metric(
    "lighterage_part_seconds",
    "histogram",
    "From the moment when a part or object was whole until the S3 store had it, further tries included.",
)
STORE_RETRIES = Metric("lighterage_store_retries_total", "counter", "Further tries of a call to the S3 store.")
BUFFER_BYTES = Metric(
    "lighterage_buffer_bytes", "gauge", "Memory that parts on their way to the S3 store hold, of all processes."
)
BUFFER_BYTES_MAX = Metric("lighterage_buffer_bytes_max", "gauge", "The bound of lighterage_buffer_bytes.")
_PID = Metric("lighterage_process_id", "gauge", "")  # kept in the row, not told

COUNTED = (
    REQUESTS,
    REQUEST_SECONDS,
    UPLOADED_BYTES,
    UPLOADS_IN_FLIGHT,
    PART_SECONDS,
    STORE_RETRIES,
    BUFFER_BYTES,
    BUFFER_BYTES_MAX,
    _PID,
)
PROCESS_MEMORY = Metric(
    "lighterage_process_resident_bytes", "gauge", "Resident memory of each process that serves.", ("process",)
)
BUILD = Metric("lighterage_build_info", "gauge", "Always 1; the label has the version.", ("version",))
DISK_FREE = Metric("lighterage_disk_free_bytes", "gauge", "Room that is left where the data directory is.")
QUEUE_JOBS = Metric(
    "lighterage_queue_jobs", "gauge", "Processing jobs in the queue, by state; counted up to 500.", ("state",)
)
QUEUE_OLDEST = Metric("lighterage_queue_oldest_seconds", "gauge", "How long the oldest job has been waiting.")
TOLD = (
    *(metric for metric in COUNTED if metric is not _PID),
    PROCESS_MEMORY,
    BUILD,
    DISK_FREE,
    QUEUE_JOBS,
    QUEUE_OLDEST,
)


def _addresses() -> tuple[dict[str, int], int]:
    addresses, size = {}, 0
    for metric in COUNTED:
        addresses[metric.name] = size
        size += metric.width * len(metric.series)
    return addresses, size


_ADDRESS, _ROW_LENGTH = _addresses()
_STATUS_INDEX = {int(status): index for index, status in enumerate(STATUSES) if status.isdigit()}
_FACE_INDEX = {face: index for index, face in enumerate(FACES)}


class Board:
    """The rows of all processes at one address. It is made before they are forked."""

    def __init__(self, processes: int = 1) -> None:
        size = processes * _ROW_LENGTH * 8
        self._memory = mmap.mmap(-1, -(-size // _PAGE) * _PAGE)
        self._numbers = memoryview(self._memory).cast("d")
        self.processes = processes

    def row(self, number: int) -> "Row":
        """Give a process its row; what its predecessor counted stays."""
        start = number * _ROW_LENGTH
        return Row(self._numbers[start : start + _ROW_LENGTH])

    def sums(self) -> list[float]:
        rows = [self._numbers[n * _ROW_LENGTH : (n + 1) * _ROW_LENGTH] for n in range(self.processes)]
        return [sum(column) for column in zip(*rows, strict=True)]

    def pids(self) -> list[int]:
        return [int(self._numbers[n * _ROW_LENGTH + _ADDRESS[_PID.name]]) for n in range(self.processes)]


class Row:
    """
    What one process counts.

    Attributes:
        sampled: What is read only when somebody asks, or once a second where other processes may be asked.
    """

    def __init__(self, numbers: "memoryview[float]") -> None:
        self._numbers = numbers
        self.sampled: dict[Metric, Callable[[], float]] = {}
        for metric in COUNTED:
            if metric.kind == "gauge":
                numbers[_ADDRESS[metric.name]] = 0.0
        numbers[_ADDRESS[_PID.name]] = float(os.getpid())
        self._received_before = numbers[_ADDRESS[UPLOADED_BYTES.name]]

    def request(self, path: str, *, is_upload: bool, status: int | None, seconds: float) -> None:
        """Count a request that ended; a status of None: there was no answer."""
        face = _FACE_INDEX["uploads" if is_upload else _FACE_OF.get(path, "rest")]
        index = len(STATUSES) - 2 if status is None else _STATUS_INDEX.get(status, len(STATUSES) - 1)
        self._numbers[_ADDRESS[REQUESTS.name] + face * len(STATUSES) + index] += 1.0
        self._observe(_ADDRESS[REQUEST_SECONDS.name] + face * (len(SECONDS) + 2), seconds)

    def part_sent(self, seconds: float) -> None:
        self._observe(_ADDRESS[PART_SECONDS.name], seconds)

    def retried(self) -> None:
        self._numbers[_ADDRESS[STORE_RETRIES.name]] += 1.0

    def _observe(self, address: int, seconds: float) -> None:
        # Buckets stand apart here, and are added up when they are told.
        numbers, size = self._numbers, len(SECONDS)
        numbers[address + bisect_left(SECONDS, seconds)] += 1.0
        numbers[address + size + 1] += seconds

    def sample(self) -> None:
        """Write down what is read now and then."""
        for metric, read in self.sampled.items():
            before = self._received_before if metric is UPLOADED_BYTES else 0.0
            self._numbers[_ADDRESS[metric.name]] = before + read()


Sample = tuple[Metric, Mapping[str, str], float]
"""A number that is read when somebody asks, with its labels."""


def exposition(board: Board, samples: Iterable[Sample] = ()) -> bytes:
    """Write everything down."""
    sums = board.sums()
    lines: list[str] = []
    for metric in COUNTED:
        if metric is not _PID:
            lines += _head(metric)
            for number, values in enumerate(metric.series):
                address = _ADDRESS[metric.name] + number * metric.width
                labels = dict(zip(metric.labels, values, strict=True))
                lines += _series(metric, labels, sums[address : address + metric.width])
    told: set[str] = set()
    for metric, given, value in samples:
        lines += [] if metric.name in told else _head(metric)
        told.add(metric.name)
        lines.append(_line(metric.name, given, value))
    return ("\n".join(lines) + "\n").encode()


def process_samples(board: Board) -> list[Sample]:
    """Read the resident memory of each process, where the kernel tells."""
    samples: list[Sample] = []
    for number, pid in enumerate(board.pids()):
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            continue
        samples.append((PROCESS_MEMORY, {"process": str(number)}, float(pages * _PAGE)))
    return samples


def _head(metric: Metric) -> list[str]:
    return [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]


def _series(metric: Metric, labels: Mapping[str, str], numbers: Sequence[float]) -> list[str]:
    if metric.kind != "histogram":
        # Most pairs of face and status never come. Those of faults are told from the start: Prometheus's `rate` misses
        # the first of a series that was not there before.
        is_told = numbers[0] or metric is not REQUESTS or labels["status"].startswith("5")
        return [_line(metric.name, labels, numbers[0])] if is_told else []
    lines, count = [], 0.0
    for bound, number in zip((*map(str, SECONDS), "+Inf"), numbers, strict=False):
        count += number
        lines.append(_line(f"{metric.name}_bucket", {**labels, "le": bound}, count))
    return [
        *lines,
        _line(f"{metric.name}_sum", labels, numbers[len(SECONDS) + 1]),
        _line(f"{metric.name}_count", labels, count),
    ]


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{text}"' for label, text in labels.items())
    number = str(int(value)) if value == int(value) else repr(value)
    return f"{name}{{{inside}}} {number}" if inside else f"{name} {number}"


Source = Callable[[], Awaitable[Iterable[Sample]]]


@dataclass(frozen=True, slots=True)
class Meters:
    """What all processes share, and the row of this one."""

    board: Board
    row: Row

    @classmethod
    def alone(cls) -> "Meters":
        board = Board()
        return cls(board, board.row(0))


class Exposition:
    """What `/metrics` answers: the board, and what can only be read by asking somebody."""

    def __init__(self, meters: Meters, sources: Sequence[Source] = ()) -> None:
        self._meters = meters
        self._sources = sources

    async def __call__(self) -> bytes:
        self._meters.row.sample()
        samples = process_samples(self._meters.board)
        for source in self._sources:
            samples += await source()
        return exposition(self._meters.board, samples)
