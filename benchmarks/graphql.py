"""
GraphQL over loopback, beside graphql-yoga on Node.js over the same data: requests a second, subscribers, long lists.

    make bench-peers                              # once
    .venv/bin/python -m benchmarks.graphql        # everything; --work viewer --work files … for some of it

`viewer` and `files` run on both servers in turn within each round. graphql-yoga has our SDL, answers from memory what
our server answers, and knows no log-in; ours checks the token and reads its database.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.client import Connection, WrongAnswer
from benchmarks.load import Requests, Watchers, compose
from benchmarks.machine import cpu_seconds, free_port, is_listening
from benchmarks.servers import ROOT, running
from benchmarks.upload import machine
from domain.clock import SystemClock
from domain.file import Visibility
from domain.ids import TenantId, UserId
from domain.tenant import MEMBERSHIPS, Membership, TenantRole, membership_id
from domain.upload import NewUpload
from lighterage.assembly import Product, open_product
from lighterage.settings import Settings

PEER = ROOT / "benchmarks" / "peers" / "yoga.mjs"
CONCURRENCY = 16
SUBSCRIBERS_EACH = 40  # sockets of one user: fewer than anybody may have
FILES = 60
START_SECONDS_MAX = 20.0
SLOW_SECONDS = 0.5  # what takes so long is asked once
ROW = "id name contentType size sha256 status visibility createdAt updatedAt version uploadedBy { id username email }"
PAGE = f"files(first: 50) {{ nodes {{ {ROW} }} pageInfo {{ hasNextPage endCursor }} }}"
DATA = f"{{ viewer {{ id username email name }} {PAGE} }}"
QUERIES = {"viewer": "{ viewer { id email name } }", "files": f"{{ {PAGE} }}"}
RENAME = "mutation ($input: UpdateFileInput!) { updateFile(input: $input) { file { version } userErrors { code } } }"
EVENTS = "subscription { fileEvents { cursor action at fileId file { id name size version } actor { id username } } }"

Figures = dict[str, float]


@dataclass(slots=True)
class Seeded:
    """A tenant of which many are members: their tokens, and the ids of its files."""

    tokens: list[str]
    file_ids: list[str]
    tenant_id: str
    user_id: str


async def seed(directory: Path, *, members: int) -> Seeded:
    """Fill a server's directory, beside the server."""
    settings = Settings(data_dir=directory, query_workers=0, access_token_minutes=600, fsync=False)
    async with open_product(settings, with_sql=False) as product:
        accounts = product.services.accounts
        saved = await accounts.save_user("owner", "correct-horse-battery", tenant_name="Bench")
        owner = await accounts.log_in("owner", "correct-horse-battery", client="bench")
        tenant_id = TenantId(saved.tenant.id)
        begun = [
            await product.services.uploads.begin(
                owner.principal, NewUpload(name=f"report {number}.csv", length=0, visibility=Visibility.TENANT)
            )
            for number in range(FILES)
        ]
        tokens = [owner.access_token]
        tokens += [await _member(product, tenant_id, f"member{number}") for number in range(members)]
        return Seeded(tokens, [str(one.file_id) for one in begun], tenant_id, saved.user.id)


async def _member(product: Product, tenant_id: TenantId, name: str) -> str:
    accounts = product.services.accounts
    saved = await accounts.save_user(name, "correct-horse-battery", tenant_name=name)
    user_id = UserId(saved.user.id)
    joined = Membership(membership_id(user_id, tenant_id), user_id, tenant_id, TenantRole.MEMBER, SystemClock().now())
    await product.records.collection(MEMBERSHIPS).add(joined)
    session = await accounts.begin_session(saved.user)
    return (await accounts.refresh(session.refresh_token, client=name, tenant_id=tenant_id)).access_token


@dataclass(slots=True)
class Server:
    """A server to be asked: ours, or the peer."""

    name: str
    base: str
    pid: int
    tokens: list[str]
    file_ids: list[str]
    latest: dict[str, int] = field(default_factory=dict)

    def request(self, query: str, variables: dict[str, Any] | None = None) -> bytes:
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        return compose(self.base, "/graphql", body, self._headers())

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        with Connection(self.base, self._headers()) as connection:
            body = json.dumps({"query": query, "variables": variables or {}}).encode()
            answer = json.loads(connection.request("POST", "/graphql", body=body, expect=200).body)
        if answer.get("errors"):
            raise WrongAnswer(f"{self.name}: {answer['errors']}")
        data: dict[str, Any] = answer["data"]
        return data

    def _headers(self) -> dict[str, str]:
        bearer = {"authorization": f"Bearer {self.tokens[0]}"} if self.tokens else {}
        return {"content-type": "application/json"} | bearer

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


@contextmanager
def ours(directory: Path, *, members: int = 0) -> Iterator[tuple[Server, Seeded]]:
    with running("lighterage-nofsync", directory) as server:
        seeded = asyncio.run(seed(directory, members=members))
        yield Server("lighterage", server.base, server.process.pid, seeded.tokens, seeded.file_ids), seeded


@contextmanager
def yoga(directory: Path, data: dict[str, Any]) -> Iterator[Server]:
    """Start the peer over what our server answered."""
    path, port = directory / "data.json", free_port()
    path.write_text(json.dumps(data))
    command = ["node", str(PEER), str(port), str(ROOT / "schema" / "schema.graphql"), str(path)]
    process = subprocess.Popen(command, env=os.environ | {"NODE_ENV": "production"})
    try:
        until = time.monotonic() + START_SECONDS_MAX
        while not is_listening(port):
            if time.monotonic() > until:
                raise WrongAnswer("graphql-yoga did not start: make bench-peers")
            time.sleep(0.05)
        file_ids = [node["id"] for node in data["files"]["nodes"]]
        yield Server("graphql-yoga", f"http://127.0.0.1:{port}", process.pid, [], file_ids)
    finally:
        process.terminate()
        process.wait()


# ---- requests


def requests(server: Server, query: str, *, seconds: float) -> tuple[Figures, bytes]:
    """Ask one question over and over."""
    with Requests(server.base, server.request(query), concurrency=CONCURRENCY) as load:
        load.run(seconds / 4)
        cpu = cpu_seconds([server.pid])
        count, took, body = load.run(seconds)
        cpu = cpu_seconds([server.pid]) - cpu
    return {"requests_per_second": count / took, "cpu_us_per_request": cpu / count * 1e6}, body


def compared(directory: Path, *, works: list[str], rounds: int, seconds: float) -> dict[str, dict[str, list[Figures]]]:
    """Run both servers side by side and ask them in turn."""
    with ours(directory / "ours") as (server, _), yoga(directory, server.ask(DATA)) as peer:
        figures: dict[str, dict[str, list[Figures]]] = {work: {server.name: [], peer.name: []} for work in works}
        for work in works:
            for one in (server, peer):
                requests(one, QUERIES[work], seconds=seconds)  # a compiler that learns as it goes needs some seconds
        for number in range(rounds):
            for work in works:
                pair = [server, peer] if number % 2 else [peer, server]
                bodies = []
                for one in pair:
                    found, body = requests(one, QUERIES[work], seconds=seconds)
                    figures[work][one.name].append(found)
                    bodies.append(json.loads(body))
                if bodies[0] != bodies[1]:
                    raise WrongAnswer(f"{work}: the two servers do not answer the same")
    return figures


# ---- subscribers


def subscribers(server: Server, *, count: int, events: int) -> Figures:
    """Let so many watch, change a file now and then, and note how late each of them hears of it."""
    with Watchers(server.base) as watchers:
        rss = server.rss_kib()
        subscribe = json.dumps({"id": "1", "type": "subscribe", "payload": {"query": EVENTS}}).encode()
        tokens = server.tokens[1:]
        for number in range(count):
            payload = {"Authorization": f"Bearer {tokens[number // SUBSCRIBERS_EACH]}"} if tokens else {}
            watchers.add(json.dumps({"type": "connection_init", "payload": payload}).encode(), subscribe)
        time.sleep(1.0)  # the last of them are still on their way into their streams
        latencies: list[float] = []
        cpu = 0.0
        for number in range(events + 2):
            rename = {"input": {"fileId": server.file_ids[0], "name": f"renamed {number}.csv"}}
            request = server.request(RENAME, rename)
            before = cpu_seconds([server.pid])
            with Requests(server.base, request, concurrency=1) as one:
                begin = time.perf_counter()
                one.send()
                came = watchers.wait(count)
                one.receive()
            if number >= 2:  # the first warm up
                cpu += cpu_seconds([server.pid]) - before
                latencies += [(moment - begin) * 1000 for moment in came]
            time.sleep(0.1)
        each_kib = (server.rss_kib() - rss) / count
    ordered = sorted(latencies)
    return {
        "subscribers": count,
        "p50_ms": statistics.median(ordered),
        "p99_ms": ordered[len(ordered) * 99 // 100],
        "kib_each": each_kib,
        "cpu_us_per_delivery": cpu / len(ordered) * 1e6,
    }


def watched(directory: Path, *, count: int, events: int) -> dict[str, Figures]:
    members = -(-count // SUBSCRIBERS_EACH)
    with ours(directory / "ours", members=members) as (server, _), yoga(directory, server.ask(DATA)) as peer:
        return {one.name: subscribers(one, count=count, events=events) for one in (server, peer)}


# ---- soak


def soak(directory: Path, *, events: int) -> Figures:
    """Let some watch while so many events pass, and see whether the server's memory grows."""
    trash = "mutation ($ids: [ID!]!) { deleteFiles(input: {fileIds: $ids}) { files { id } } }"
    restore = "mutation ($ids: [ID!]!) { restoreFiles(input: {fileIds: $ids}) { files { id } } }"
    watching = 4
    with ours(directory / "ours", members=1) as (server, seeded), Watchers(server.base) as watchers:
        subscribe = json.dumps({"id": "1", "type": "subscribe", "payload": {"query": EVENTS}}).encode()
        init = {"type": "connection_init", "payload": {"Authorization": f"Bearer {seeded.tokens[1]}"}}
        for _ in range(watching):
            watchers.add(json.dumps(init).encode(), subscribe)
        time.sleep(1.0)
        sizes, done = [], 0
        each = len(seeded.file_ids)
        with Requests(server.base, b"", concurrency=1) as one:
            while done < events:
                for query in (trash, restore):
                    one.send(server.request(query, {"ids": seeded.file_ids}))
                    watchers.wait(each * watching)
                    one.receive()
                    done += each
                if done // (events // 10) > len(sizes):
                    sizes.append(server.rss_kib() / 1024)
    half = len(sizes) // 2
    return {
        "events": done,
        "deliveries": done * watching,
        "rss_mib_at_a_tenth": sizes[0],
        "rss_mib_at_half": sizes[half - 1],
        "rss_mib_at_end": sizes[-1],
    }


# ---- long lists

ORDERS = ["CREATED_AT", "UPDATED_AT", "NAME", "SIZE", "EXPIRES_AT"]
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "search, common": {"search": "report"},
    "search, rare": {"search": "unlike any"},
    "name eq": {"name": {"eq": "report 7.csv"}},
    "name in": {"name": {"in": ["report 7.csv", "report 99.csv"]}},
    "name startsWith": {"name": {"startsWith": "report 77"}},
    "contentType eq": {"contentType": {"eq": "text/csv"}},
    "contentType eq, rare": {"contentType": {"eq": "image/png"}},
    "contentType in": {"contentType": {"in": ["image/png", "image/gif"]}},
    "contentType startsWith": {"contentType": {"startsWith": "image/"}},
    "status, common": {"status": ["READY"]},
    "status, rare": {"status": ["FAILED", "QUARANTINED"]},
    "visibility": {"visibility": ["PRIVATE"]},
    "visibility, rare": {"visibility": ["LINK"]},
    "resource": {"resource": {"type": "product", "ids": ["7"]}},
    "resource type": {"resource": {"type": "product"}},
    "uploadedBy": {"uploadedBy": ["$me"]},
    "size": {"size": {"gte": 500, "lte": 560}},
    "createdAt": {"createdAt": {"gte": "2026-01-01T00:05:00Z", "lt": "2026-01-01T00:10:00Z"}},
    "expiresAt": {"expiresAt": {"gte": "2027-01-01T00:05:00Z", "lt": "2027-01-01T00:20:00Z"}},
    "sha256": {"sha256": f"{7:064d}"},
    "deleted": {"deleted": True},
}


def fill(database: Path, *, files: int, seeded: Seeded) -> None:
    """Put copies of the tenant's first file into its list, each with other values, by one statement."""
    with sqlite3.connect(database, timeout=60) as connection:
        columns = [row[1] for row in connection.execute('PRAGMA table_info("files")')]
        moment = "strftime('%Y-%m-%dT%H:%M:%S', '2026-01-01', i || ' seconds') || '.000000Z'"
        expiry = f"CASE WHEN i % 10 = 0 THEN {moment.replace('2026-01-01', '2027-01-01')} END"
        image = "CASE WHEN i % 20000 = 7 THEN 'image/png' WHEN i % 3 = 0 THEN 'text/csv' ELSE 'application/pdf' END"
        values = {
            "id": "'file_' || printf('%026d', i)",
            "name": "'report ' || i || '.csv'",
            "name_folded": "'report ' || i || '.csv'",
            "number": "i + 1000",
            "content_type": image,
            "size": "i",
            "sha256": "printf('%064d', i)",
            "status": "CASE WHEN i % 20000 = 9 THEN 'failed' ELSE 'ready' END",
            "visibility": "CASE WHEN i % 20000 = 11 THEN 'link' WHEN i % 2 THEN 'private' ELSE 'tenant' END",
            "resource_type": "CASE WHEN i % 2 THEN 'product' END",
            "resource_id": "CASE WHEN i % 2 THEN CAST(i % 1000 AS TEXT) END",
            "uploaded_by": f"CASE i % 100 WHEN 0 THEN '{seeded.user_id}' ELSE 'user_' || printf('%026d', i % 100) END",
            "created_at": moment,
            "updated_at": moment,
            "expires_at": expiry,
            "deleted_at": f"CASE WHEN i % 100 = 99 THEN {moment} END",
        }
        document = "_document"
        told = [name for name in values if name not in ("name_folded", "resource_type", "resource_id", "audience")]
        pairs = ", ".join(f"'$.{name}', {values[name]}" for name in told)
        resource = "CASE WHEN i % 2 THEN json_object('type', 'product', 'id', CAST(i % 1000 AS TEXT)) END"
        values[document] = f"CAST(json_set(CAST(_document AS TEXT), {pairs}, '$.resource', {resource}) AS BLOB)"
        chosen = ", ".join(values.get(name, f'"{name}"') for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        connection.execute(
            f'INSERT INTO "files" ({names}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)'
            f' SELECT {chosen} FROM n, (SELECT * FROM "files" WHERE id = ?) AS template',
            [files, seeded.file_ids[0]],
        )
    connection.close()


def pages(directory: Path, *, sizes: tuple[int, int], repeats: int) -> dict[str, dict[str, float]]:
    """Ask for a page of every filter and order, of a short list and a long one; gives medians in milliseconds."""
    found: dict[str, dict[str, float]] = {}
    query = (
        "query ($filter: FileFilter, $order: FileOrder) { files(first: 50, filter: $filter, orderBy: $order) {"
        " nodes { id name size createdAt } pageInfo { hasNextPage } } }"
    )
    for files in sizes:
        with ours(directory / f"of-{files}") as (server, seeded):
            fill(directory / f"of-{files}" / "lighterage.db", files=files, seeded=seeded)
            for name, filter_ in FILTERS.items():
                wanted = json.loads(json.dumps(filter_).replace("$me", seeded.user_id))
                for order in ORDERS if name == "none" else ["CREATED_AT", "NAME"]:
                    for direction in ("ASC", "DESC"):
                        variables = {"filter": wanted, "order": {"field": order, "direction": direction}}
                        request = server.request(query, variables)
                        with Requests(server.base, request, concurrency=1) as load:
                            times = load.each(1)
                            if times[0] < SLOW_SECONDS:
                                times = load.each(repeats)
                        label = f"{name} by {order} {direction}"
                        found.setdefault(label, {})[f"{files}"] = statistics.median(times) * 1000
    return found


# ---- all of it


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graphql", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--work", action="append", choices=["viewer", "files", "subscribers", "soak", "pages"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement of requests")
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--events", type=int, default=50_000, help="in the soak")
    parser.add_argument("--files", type=int, default=1_000_000, help="in the long list")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "graphql.json")
    return parser.parse_args()


def main() -> None:
    """Do the works, print the figures, write them beside those of works that were not done this time."""
    args = arguments()
    works = args.work or ["viewer", "files", "subscribers", "soak", "pages"]
    results: dict[str, Any] = json.loads(args.output.read_text()) if args.output.exists() else {}
    with tempfile.TemporaryDirectory(prefix="lighterage-bench-") as folder:
        directory = Path(folder)
        asked = [work for work in works if work in QUERIES]
        done: dict[str, Callable[[], Any]] = {
            "requests": lambda: compared(directory, works=asked, rounds=args.rounds, seconds=args.seconds),
            "subscribers": lambda: watched(directory, count=args.subscribers, events=20),
            "soak": lambda: soak(directory, events=args.events),
            "pages": lambda: pages(directory, sizes=(1_000, args.files), repeats=9),
        }
        for name, work in done.items():
            if name in works or (name == "requests" and asked):
                figures = work()
                results[name] = {"machine": machine(directory), "figures": figures}
                print(name, json.dumps(figures, indent=1), flush=True)
                args.output.parent.mkdir(exist_ok=True)
                args.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
