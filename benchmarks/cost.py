"""
What running Lighterage at AWS costs in a month: prices, formulae, three load profiles. `python -m benchmarks.cost`
prints the tables of docs/cost.md, and a test compares them.

Nothing here asks anybody: a price is an input with a date. Change PRICES, and run it again.
"""

import math
from dataclasses import dataclass
from pathlib import Path

PRICES_DATE = "2025-06"
REGION = "us-east-1"
HOURS = 730  # of a month
GB = 10**9
PART_BYTES = 16 * 2**20  # LIGHTERAGE_S3_PART_MIB

PRICES = {
    "t3a.micro, hour": 0.0094,
    "t3a.medium, hour": 0.0376,
    "m7a.large, hour": 0.1159,
    "gp3 disk, GB-month": 0.08,
    "S3 Standard, GB-month, first 50 TB": 0.023,
    "S3 Standard, GB-month, beyond": 0.022,
    "S3 PUT, POST, LIST, 1000": 0.005,
    "S3 GET, 1000": 0.0004,
    "traffic out, GB, first 100 GB": 0.0,
    "traffic out, GB, to 10 TB": 0.09,
    "traffic out, GB, to 50 TB": 0.085,
    "ALB, hour": 0.0225,
    "ALB, LCU-hour": 0.008,
    "HTTP API, million requests of 512 KB": 1.0,
    "EKS cluster, hour": 0.10,
    "NAT gateway, hour": 0.045,
    "public IPv4 address, hour": 0.005,
    "MongoDB Atlas M10, hour": 0.08,
    "MongoDB Atlas M30, hour": 0.54,
    "SQS, million requests": 0.40,
}

# Measured: docs/performance.md, into S3.
CPU_SECONDS_PER_GIB = 1.2
CPU_SECONDS_PER_FILE = 0.002
PEAK_TO_MEAN = 10  # the busiest hour against the mean one
CPU_SHARE_MAX = 0.5  # of a core that is planned for


@dataclass(frozen=True, slots=True)
class Profile:
    """
    A load, of one month.

    Attributes:
        stored_gb: What lies there on average.
        files: That come.
        file_mb: Their mean size.
        downloads_gb: That go out to the internet.
        servers: Machines or pods, and of which kind.
        database: Its price's name; None: SQLite on the machine's disk.
        disk_gb: Of all machines together; files lie here where `in_s3` is False.
        gateway: `alb`, `apigw` or None.
    """

    name: str
    stored_gb: float
    files: int
    file_mb: float
    downloads_gb: float
    servers: int
    machine: str
    database: str | None
    disk_gb: int
    in_s3: bool
    gateway: str | None
    has_eks: bool = False

    @property
    def incoming_gb(self) -> float:
        return self.files * self.file_mb / 1000


PROFILES = (
    Profile("one person", 15, 1_000, 10, 20, 1, "t3a.micro, hour", None, 20, False, None),
    Profile("a team", 1_000, 50_000, 10, 300, 1, "t3a.medium, hour", None, 20, True, "alb"),
    Profile(
        "a platform",
        50_000,
        2_000_000,
        20,
        8_000,
        3,
        "m7a.large, hour",
        "MongoDB Atlas M30, hour",
        150,
        True,
        "alb",
        True,
    ),
)


def s3_puts(profile: Profile) -> float:
    """Count the requests that storing takes: one for a file that fits into a part, else each part and two around."""
    size = profile.file_mb * 1e6
    parts = math.ceil(size / PART_BYTES)
    return profile.files * (1 if parts == 1 else parts + 2)


def storage(profile: Profile) -> float:
    if not profile.in_s3:
        return 0.0
    first = min(profile.stored_gb, 50_000) * PRICES["S3 Standard, GB-month, first 50 TB"]
    return first + max(0.0, profile.stored_gb - 50_000) * PRICES["S3 Standard, GB-month, beyond"]


def traffic(profile: Profile) -> float:
    """Price what goes out; what comes in costs nothing."""
    left, cost = profile.downloads_gb, 0.0
    for size, name in ((100, "first 100 GB"), (10_000, "to 10 TB"), (math.inf, "to 50 TB")):
        part = min(left, size)
        cost += part * PRICES[f"traffic out, GB, {name}"]
        left -= part
    return cost


def front(profile: Profile) -> float:
    if profile.gateway == "alb":
        # An LCU takes 1 GB an hour, in and out together, and 25 new connections a second.
        lcus = max(0.05, (profile.incoming_gb + profile.downloads_gb) / HOURS)
        return HOURS * (PRICES["ALB, hour"] + lcus * PRICES["ALB, LCU-hour"])
    if profile.gateway == "apigw":
        chunks = profile.files * math.ceil(profile.file_mb / 8) * math.ceil(8_000 / 512)
        return chunks / 1e6 * PRICES["HTTP API, million requests of 512 KB"]
    return 0.0


def cores_needed(profile: Profile) -> float:
    """Say how many cores the busiest hour takes."""
    mean = (profile.incoming_gb / 1.074 * CPU_SECONDS_PER_GIB + profile.files * CPU_SECONDS_PER_FILE) / (HOURS * 3600)
    return mean * PEAK_TO_MEAN / CPU_SHARE_MAX


def costs(profile: Profile) -> dict[str, float]:
    """Give each part of the month's bill, in US dollars."""
    puts = s3_puts(profile) if profile.in_s3 else 0.0
    gets = profile.files * 2 if profile.in_s3 else 0.0  # the digest's, and a download
    return {
        "servers": profile.servers * HOURS * (PRICES[profile.machine] + PRICES["public IPv4 address, hour"]),
        "disks": profile.disk_gb * PRICES["gp3 disk, GB-month"],
        "database": HOURS * PRICES[profile.database] if profile.database else 0.0,
        "storage": storage(profile),
        "S3 requests": puts / 1000 * PRICES["S3 PUT, POST, LIST, 1000"] + gets / 1000 * PRICES["S3 GET, 1000"],
        "traffic out": traffic(profile),
        "front": front(profile),
        "EKS, NAT": HOURS * (PRICES["EKS cluster, hour"] + PRICES["NAT gateway, hour"]) if profile.has_eks else 0.0,
    }


def tables() -> str:
    """Write the tables of docs/cost.md."""
    lines = ["| price | US$ |", "| --- | --- |"]
    lines += [f"| {name} | {price:g} |" for name, price in PRICES.items()]
    lines += ["", f"| a month | {' | '.join(profile.name for profile in PROFILES)} |"]
    lines += [f"| --- |{' --- |' * len(PROFILES)}"]

    def row(title: str, *cells: str) -> None:
        lines.append(f"| {title} | {' | '.join(cells)} |")

    row("stored", *(f"{profile.stored_gb:,.0f} GB" for profile in PROFILES))
    row("files that come", *(f"{profile.files:,} of {profile.file_mb:g} MB" for profile in PROFILES))
    row("goes out", *(f"{profile.downloads_gb:,.0f} GB" for profile in PROFILES))
    row("machines", *(f"{profile.servers} x {profile.machine.split(',')[0]}" for profile in PROFILES))
    row("cores in the busiest hour", *(f"{cores_needed(profile):.2f}" for profile in PROFILES))
    bills = [costs(profile) for profile in PROFILES]
    for part in bills[0]:
        row(part, *(f"{bill[part]:,.2f}" for bill in bills))
    row("**together, US$**", *(f"**{sum(bill.values()):,.2f}**" for bill in bills))
    row(
        "of it for a GB stored",
        *(f"{sum(bill.values()) / profile.stored_gb:.3f}" for bill, profile in zip(bills, PROFILES, strict=True)),
    )
    return "\n".join(lines)


BEGIN, END = "<!-- tables: begin (python -m benchmarks.cost --write) -->", "<!-- tables: end -->"
PAGE = Path(__file__).parent.parent / "docs" / "cost.md"


def written(page: str) -> str:
    """Give the page with the tables of today."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{tables()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    import sys

    if "--write" in sys.argv:
        PAGE.write_text(written(PAGE.read_text()))
    else:
        print(tables())
