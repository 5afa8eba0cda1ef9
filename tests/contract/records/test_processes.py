"""What holds while several processes write to one database, and when one of them is killed."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from domain.records import Collection
from tests.support.records import Parcel, Tally, parcel
from tests.support.records_open import Database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ROOT = Path(__file__).parents[3]
PROCESSES = 4
TENANT = "tenant_a"

Process = subprocess.Popen[str]
Start = Callable[..., Process]
Tallies = Collection[Tally]


@pytest.fixture
def start(database: Database) -> Iterator[Start]:
    """Start processes that wait for `go`; those that still run are killed at the end."""
    with ExitStack() as running:

        def start_one(task: str, name: object, times: int) -> Process:
            arguments = [task, str(name), str(times), database.adapter, database.where, database.name]
            process = running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.support.records_process", *arguments],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            running.callback(process.kill)
            return process

        yield start_one


def go(*processes: Process) -> None:
    """Let all begin as nearly at once as can be."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def lines_of(process: Process) -> list[str]:
    """Give what a process printed, once it has ended well."""
    output, _ = process.communicate(timeout=50)
    assert process.returncode == 0
    return output.splitlines()


def run(start: Start, task: str, times: int) -> list[list[str]]:
    processes = [start(task, name, times) for name in range(PROCESSES)]
    go(*processes)
    return [lines_of(process) for process in processes]


async def test_compare_and_set_has_one_winner_a_round(tallies: Tallies, start: Start) -> None:
    rounds = 60
    for number in range(rounds):
        await tallies.add(Tally(f"round_{number}", TENANT, -1))

    won = run(start, "compare_and_set", rounds)

    assert list(range(rounds)) == sorted(int(line) for lines in won for line in lines)
    for name, lines in enumerate(won):
        for line in lines:
            assert Tally(f"round_{line}", TENANT, name, 0, 2) == await tallies.get(TENANT, f"round_{line}")


async def test_no_acknowledged_increment_is_lost(tallies: Tallies, start: Start) -> None:
    """Every sum that was acknowledged was so to one alone."""
    times = 200
    await tallies.add(Tally("shared", TENANT))

    acknowledged = run(start, "increment", times)

    assert list(range(1, PROCESSES * times + 1)) == sorted(int(line) for lines in acknowledged for line in lines)
    assert PROCESSES * times == (await tallies.get(TENANT, "shared")).count


async def test_no_increment_beside_a_derived_field_is_lost(parcels: Collection[Parcel], start: Start) -> None:
    times = 25
    await parcels.add(parcel("shared"))

    acknowledged = run(start, "increment_derived", times)

    assert list(range(1, PROCESSES * times + 1)) == sorted(int(line) for lines in acknowledged for line in lines)


async def test_once_is_once_for_all(tallies: Tallies, start: Start) -> None:
    times = 40
    await tallies.add(Tally("shared", TENANT))

    run(start, "increment_once", times)

    assert times == (await tallies.get(TENANT, "shared")).count


async def test_limit_is_reached_and_never_passed(tallies: Tallies, start: Start) -> None:
    limit = 150
    await tallies.add(Tally("shared", TENANT))

    given = run(start, "fill_up", limit)

    assert list(range(1, limit + 1)) == sorted(int(line) for lines in given for line in lines)


async def test_no_smaller_number_appears_later(start: Start) -> None:
    """Who reads on from the last number sees each there is, while others add."""
    times = 100
    readers = [start("follow", name, (PROCESSES - 1) * times) for name in range(2)]
    writers = [start("add", name, times) for name in range(PROCESSES - 1)]

    go(*readers, *writers)

    added = sorted(int(line.split()[1]) for writer in writers for line in lines_of(writer))
    for reader in readers:
        assert added == [int(line) for line in lines_of(reader)]


async def test_killed_process_loses_no_acknowledged_write(parcels: Collection[Parcel], start: Start) -> None:
    """Nor does it keep the others from writing."""
    victims = [start("add", f"victim{index}", 10**6) for index in range(2)]
    survivor = start("add", "survivor", 100)
    go(*victims, survivor)
    acknowledged = [read_then_kill(victim, lines=50 + 20 * index) for index, victim in enumerate(victims)]
    acknowledged.append(lines_of(survivor))

    for line in [line for lines in acknowledged for line in lines]:
        identifier, number = line.split()
        found = await parcels.get(TENANT, identifier)
        assert ("saved", int(number), 2) == (found.title, found.number, found.revision)
        assert found == await parcels.find(TENANT, code=found.code)
    assert (await parcels.add(parcel("after"))).number > max(int(line.split()[1]) for line in acknowledged[-1])


def read_then_kill(process: Process, *, lines: int) -> list[str]:
    """Kill a process in the middle of its work; give the whole lines that it printed by then."""
    assert process.stdout is not None
    begun = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    # Not by `communicate`: it reads past what is already waiting in this stream, and so begins within a line.
    rest = process.stdout.read().splitlines(keepends=True)
    process.wait(timeout=50)
    process.stdout.close()
    return [line.strip() for line in [*begun, *rest] if line.endswith("\n")]
