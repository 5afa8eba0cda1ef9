"""What the product is made of: adapters opened in order, services over them, faces over these."""

import asyncio
import importlib.metadata
import secrets
import string
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from adapters.blobs.files import is_in_memory
from adapters.blobs.local import LocalBlobs
from adapters.events.local import LocalEvents
from adapters.limits.memory import MemoryRateLimits
from adapters.locks.leases import LeaseLocks
from adapters.locks.machine import MachineLocks
from adapters.mail.outbox import Outbox
from adapters.records.sqlite import SqliteRecords
from auth.passwords import PasswordHasher
from auth.sealing import Sealer
from auth.tokens import TokenService, new_private_key
from domain.apikey import API_KEYS
from domain.audit import AUDIT_EVENTS
from domain.blob import BlobKey, BlobStore, LinkingBlobStore, SelectingBlobStore
from domain.clock import Clock, SystemClock
from domain.errors import Conflict, LighterageError
from domain.event import FILE_EVENTS
from domain.file import FILES, OPEN_FILES
from domain.ids import SYSTEM
from domain.job import JOBS, parse_rules
from domain.lock import LEASES, LockManager
from domain.mail import Mail
from domain.manifest import MANIFESTS
from domain.profile import PROFILES
from domain.rate import parse_rate
from domain.records import Kind, Records
from domain.share import SHARE_LINKS
from domain.tenant import MEMBERSHIPS, TENANTS, USAGES, Limits
from domain.ticket import TICKETS
from domain.upload import UPLOADS
from domain.user import SESSIONS, SIGNING_KEYS, USERS, SigningKey
from domain.version import FILE_VERSIONS
from domain.webhook import WEBHOOKS, Courier
from jobs.maintenance import run_maintenance
from lighterage.authentication import App, Door
from lighterage.directory import open_directory
from lighterage.facade import rest_operations
from lighterage.gauges import QueueGauge, build_exposition
from lighterage.hooks import Hooks, open_hooks
from lighterage.metrics import CONTENT_TYPE, Meters
from lighterage.patience import Patience
from lighterage.processing import Processing, open_processing, worker_beside_requests
from lighterage.proxies import Family, TrustedProxies
from lighterage.settings import Settings, SettingsError, revealed, users_of
from lighterage.tracing import Tracing, open_tracer
from query.engine.facade import EngineLimits, QueryEngine
from resolvers.context import Facts
from resolvers.endpoint import GraphQLConfig, build_graphql
from rest.accounts import account_routes
from rest.client import client_page, client_routes
from rest.graphiql import graphiql_routes
from rest.health import Metrics, health_operations
from rest.operations import routes_of
from rest.problems import handle_crash, handle_fault, handle_http_exception
from rest.selecting import SelectRoute
from rest.shares import share_routes
from rest.swagger import swagger_routes
from services import Services
from services.accounts import AccountService, ForeignLogIns, SessionRules
from services.audit import AuditLog
from services.basic import BasicLogIns
from services.concatenating import Concatenator
from services.files import FileService
from services.finishing import Finisher
from services.guests import Guests
from services.identities import Identities
from services.keys import ApiKeyService
from services.mailing import Postman
from services.maintenance import MaintenanceService, Retention
from services.manifests import ManifestService
from services.members import MemberService
from services.posting import PostingService
from services.purging import Purger
from services.queries import QueryService
from services.receipts import ReceiptService
from services.registration import RegistrationRules, RegistrationService
from services.saving import SavingService
from services.settling import UsageSettler
from services.shares import ShareService
from services.signing import SigningService
from services.tenants import TenantService
from services.throttling import Rates, Throttle
from services.tickets import Tickets
from services.uploads import UploadRules, UploadService
from services.versions import VersionService
from services.warehousing import Warehousing
from upload.endpoint import UploadEndpoint
from upload.protocol.config import Config

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from adapters.blobs.s3 import S3Blobs

KINDS: tuple[Kind, ...] = (  # type: ignore[type-arg]
    USERS,
    SESSIONS,
    TICKETS,
    API_KEYS,
    AUDIT_EVENTS,
    SIGNING_KEYS,
    TENANTS,
    MEMBERSHIPS,
    USAGES,
    UPLOADS,
    FILES,
    OPEN_FILES,
    PROFILES,
    FILE_VERSIONS,
    FILE_EVENTS,
    MANIFESTS,
    SHARE_LINKS,
    LEASES,
    JOBS,
    WEBHOOKS,
)
UPLOADS_PATH = "/files/"
PASSWORD_ALPHABET = string.ascii_letters + string.digits
PASSWORD_LENGTH = 16  # 95 bits
CANCEL_AGAIN_SECONDS = 0.5
WEBHOOK_PAUSE_SECONDS = 1.0  # how late an event may be told
WAKE_INTERVAL_SECONDS = 0.25  # this process's own changes wake their listeners at once; these are the others'
WEB_DIST = Path(__file__).parent.parent / "web" / "dist"


@dataclass(frozen=True, slots=True)
class Product:
    """Everything opened and put together."""

    settings: Settings
    address: str
    records: Records
    blobs: BlobStore
    tokens: TokenService
    postman: Postman
    services: Services
    basic: BasicLogIns | None
    maintenance: MaintenanceService
    processing: Processing
    hooks: Hooks
    meters: Meters
    queue_gauge: QueueGauge
    tracer: "Tracer | None" = None

    async def ensure_admin(self) -> str | None:
        """
        See to it that there is an administrator, and the users whom the environment names.

        Returns:
            The administrator's password if one had to be made up.
        """
        accounts, settings = self.services.accounts, self.settings
        for name, password in users_of(settings):
            await accounts.ensure_user(name, password, tenant_name=name)
        if settings.admin_password is not None:
            password = settings.admin_password.get_secret_value()
            await accounts.ensure_user(settings.admin_email, password, tenant_name="Main")
            return None
        if await accounts.has_user(settings.admin_email):
            return None
        # Letters and digits: it is pasted into commands, where a dash in front would be taken for an option.
        password = "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(PASSWORD_LENGTH))
        await accounts.save_user(settings.admin_email, password, tenant_name="Main")
        return password


@asynccontextmanager
async def open_product(
    settings: Settings,
    *,
    address: str = "",
    clock: Clock | None = None,
    passwords: PasswordHasher | None = None,
    mail: Mail | None = None,
    courier: Courier | None = None,
    with_sql: bool = True,
    meters: Meters | None = None,
) -> AsyncGenerator[Product, None]:
    """
    Open the adapters that the settings name and build the services; closes them in reverse.

    Args:
        address: Where this server is reached when no public URL is set, as `http://127.0.0.1:8000`.
        mail: Takes the letters, instead of what the settings name.
        courier: Takes the requests of webhooks, instead of the network.
        with_sql: Start the processes that run SQL; commands that need none do without.
        meters: Where this process counts, if others at its address do too.

    Raises:
        SettingsError: The data directory cannot be used.
        LighterageError: A store does not answer.
    """
    clock = clock or SystemClock()
    meters = meters or Meters.alone()
    throttle = _throttle(settings, clock)
    public_url = settings.public_url or address
    _make_data_dir(settings.data_dir)
    async with AsyncExitStack() as stack:
        bus = LocalEvents()
        records = await _open_records(stack, settings, bus)
        blobs, path_of = await _open_blobs(stack, settings, clock, meters)
        signing_key = await _signing_key(records, clock)
        tokens = TokenService(signing_key, issuer="lighterage", clock=clock)
        guests = Guests(records=records, tokens=tokens, clock=clock)
        finisher = Finisher(records=records, blobs=blobs, bus=bus, guests=guests, clock=clock)
        locks = _locks(stack, settings, records, clock)
        concatenator = Concatenator(records=records, blobs=blobs, copying=blobs, locks=locks, finisher=finisher)
        stack.push_async_callback(concatenator.close)
        uploads = UploadService(
            records=records,
            blobs=blobs,
            bus=bus,
            locks=locks,
            finisher=finisher,
            concatenator=concatenator,
            guests=guests,
            tokens=tokens,
            throttle=throttle,
            clock=clock,
            rules=UploadRules(
                length_max=settings.file_size_max,
                lifetime=timedelta(hours=settings.upload_lifetime_hours),
                public_url=f"{public_url}{UPLOADS_PATH}",
                hashes_all=settings.hash_all,
                processing=parse_rules(settings.processing),
            ),
            piping=blobs if isinstance(blobs, LocalBlobs) else None,
        )
        audit = AuditLog(records=records, clock=clock)
        passwords = passwords or PasswordHasher()
        postman = Postman(mail or _mail(settings, clock))
        stack.push_async_callback(postman.close)
        sealer = Sealer(signing_key)
        keys = ApiKeyService(records=records, sealer=sealer, audit=audit, clock=clock)
        accounts = AccountService(
            records=records,
            passwords=passwords,
            tokens=tokens,
            clock=clock,
            throttle=throttle,
            audit=audit,
            keys=keys,
            guests=guests,
            identities=_foreign(settings, records, passwords, audit, clock),
            rules=SessionRules(
                access_lifetime=timedelta(minutes=settings.access_token_minutes),
                refresh_lifetime=timedelta(days=settings.refresh_token_days),
                must_verify=settings.verify_email,
            ),
        )
        purger = Purger(records=records, blobs=blobs, bus=bus, clock=clock)
        files = FileService(
            records=records,
            blobs=blobs,
            bus=bus,
            tokens=tokens,
            purger=purger,
            clock=clock,
            public_url=public_url,
            linking=_linking(blobs, settings),
        )
        versions = VersionService(
            records=records, blobs=blobs, bus=bus, purger=purger, clock=clock, kept_max=settings.versions_max
        )
        tickets = Tickets(records=records, clock=clock)
        members = MemberService(
            records=records,
            tickets=tickets,
            postman=postman,
            audit=audit,
            throttle=throttle,
            clock=clock,
        )
        processing = open_processing(stack, settings, records, blobs, bus, clock)
        queries = QueryService(
            records=records,
            blobs=blobs,
            engine=await _open_engine(stack, settings, clock) if with_sql else None,
            path_of=path_of,
            clock=clock,
            selecting=_selecting(blobs, settings),
            warehousing=_warehousing(settings),
            per_tenant_max=settings.query_per_tenant,
        )
        hooks = open_hooks(settings, records, sealer, audit, clock, courier)
        posting = PostingService(records=records, uploads=uploads)
        services = Services(
            accounts=accounts,
            audit=audit,
            keys=keys,
            members=members,
            registration=RegistrationService(
                records=records,
                accounts=accounts,
                passwords=passwords,
                tickets=tickets,
                members=members,
                postman=postman,
                audit=audit,
                throttle=throttle,
                clock=clock,
                rules=RegistrationRules(
                    is_open=settings.sign_up,
                    must_verify=settings.verify_email,
                    public_url=public_url,
                    limits=Limits(stored_bytes_max=settings.tenant_bytes_max),
                ),
            ),
            files=files,
            directory=await open_directory(stack, settings, records, blobs, clock, public_url=public_url),
            posting=posting,
            manifests=ManifestService(records=records, files=files),
            tenants=TenantService(records=records, audit=audit),
            uploads=uploads,
            queries=queries,
            saving=SavingService(queries=queries, posting=posting),
            shares=ShareService(
                records=records,
                blobs=blobs,
                tokens=tokens,
                sealer=sealer,
                passwords=passwords,
                audit=audit,
                throttle=throttle,
                clock=clock,
                public_url=public_url,
                uploads_url=f"{public_url}{UPLOADS_PATH}",
                length_max=settings.file_size_max,
            ),
            processing=processing.service,
            webhooks=hooks.service,
            receipts=ReceiptService(files=files, tokens=tokens, issuer=public_url),
            versions=versions,
            signing=SigningService(keys=accounts, clock=clock),
        )
        maintenance = MaintenanceService(
            records=records,
            blobs=blobs,
            sweeping=blobs,
            bus=bus,
            uploads=uploads,
            clock=clock,
            retention=Retention(events=timedelta(days=settings.event_days), audit=timedelta(days=settings.audit_days)),
            purger=purger,
            settler=UsageSettler(records=records, clock=clock) if settings.mongo_url is not None else None,
            more=(*processing.chores, versions.settle),
        )
        basic = BasicLogIns(accounts=accounts, records=records, clock=clock) if settings.basic_auth else None
        yield Product(
            settings,
            public_url,
            records,
            blobs,
            tokens,
            postman,
            services,
            basic,
            maintenance,
            processing,
            hooks,
            meters,
            QueueGauge(records, clock),
            _tracer(stack, settings),
        )


def _make_data_dir(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        message = f"LIGHTERAGE_DATA_DIR (is {str(path)!r}): {error.strerror}. Name a directory that can be written to."
        raise SettingsError(message) from error


def build_app(product: Product, *, stopping: asyncio.Event | None = None) -> App:
    """
    Put the faces over the services.

    Args:
        stopping: Set when the process is about to go, so that streams that would never end do.
    """
    settings, services = product.settings, product.services
    stopping = stopping or asyncio.Event()
    checks = {"records": product.records.ping, "blobs": product.blobs.ping}
    uploads = UploadEndpoint(services.uploads, _upload_config(settings))
    health = health_operations(checks, product.tokens.jwks, _metrics(product, uploads))
    operations = rest_operations(
        services, settings, health=health, upload_url=f"{product.address}{UPLOADS_PATH}", stopping=stopping
    )
    routes: list[BaseRoute] = []
    if settings.graphql:
        # First, since routes are tried one by one, and this one is asked most.
        routes += build_graphql(services, _graphql_config(product), stopping=stopping)
        routes += graphiql_routes(WEB_DIST / "graphiql")
        routes += client_routes(WEB_DIST / "app")
    routes += [
        *routes_of(operations),
        *account_routes(services.registration),
        *share_routes(
            services.shares, client_page=partial(client_page, WEB_DIST / "app" if settings.graphql else None)
        ),
        *swagger_routes(WEB_DIST / "swagger"),
    ]
    routes.append(SelectRoute(services.queries, services.tenants, services.signing))
    app = Starlette(
        routes=routes,
        exception_handlers={
            LighterageError: handle_fault,
            HTTPException: handle_http_exception,
            Exception: handle_crash,
        },
    )
    app.router.redirect_slashes = False  # nobody sends a body twice gladly
    patient = Patience(app, idle_seconds=settings.body_idle_seconds, rate_min_bytes_per_second=settings.body_rate_min)
    door = Door(
        patient,
        uploads=uploads,  # type: ignore[arg-type]
        uploads_path=UPLOADS_PATH,
        accounts=services.accounts,
        basic=product.basic,
        counter=product.meters.row,
        logged=settings.access_log,
    )
    app_behind = door if product.tracer is None else Tracing(door, product.tracer)
    if not settings.trusted_proxies:
        return app_behind
    return TrustedProxies(
        app_behind,
        trusted=settings.trusted_proxies,
        family=Family(settings.proxy_fields),
        tell_address=settings.public_url is None,
    )


def _tracer(stack: AsyncExitStack, settings: Settings) -> "Tracer | None":
    if settings.otlp_endpoint is None:
        return None
    tracer, close = open_tracer(settings.otlp_endpoint, version=importlib.metadata.version("lighterage"))
    stack.push_async_callback(asyncio.to_thread, close)
    return tracer


def _metrics(product: Product, uploads: UploadEndpoint) -> Metrics | None:
    settings = product.settings
    if not settings.metrics:
        return None
    write = build_exposition(
        product.meters,
        uploads=uploads,
        buffers=None if isinstance(product.blobs, LocalBlobs) else cast("S3Blobs", product.blobs),
        queue=product.queue_gauge,
        data_dir=settings.data_dir,
        version=importlib.metadata.version("lighterage"),
    )
    return Metrics(write, CONTENT_TYPE, revealed(settings.metrics_token))


@asynccontextmanager
async def running_jobs(product: Product) -> AsyncGenerator[None, None]:
    """Run what works beside the requests."""
    tasks = {asyncio.create_task(run_maintenance(product.maintenance))}
    tasks.add(asyncio.create_task(run_maintenance(product.hooks.delivery, pause_seconds=WEBHOOK_PAUSE_SECONDS)))
    worker = worker_beside_requests(product.settings, product.processing, product.services.queries)
    if worker is not None:
        tasks.add(asyncio.create_task(worker.run(at_once=product.settings.worker_jobs)))
    try:
        yield
    finally:
        await _end(tasks)


def _throttle(settings: Settings, clock: Clock) -> Throttle:
    rates = Rates(
        log_in=parse_rate(settings.log_in_rate),
        address=parse_rate(settings.address_rate),
        mail=parse_rate(settings.mail_rate),
        creation=parse_rate(settings.creation_rate),
    )
    return Throttle(MemoryRateLimits(clock=clock), rates)


def _foreign(
    settings: Settings, records: Records, passwords: PasswordHasher, audit: AuditLog, clock: Clock
) -> ForeignLogIns | None:
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    from adapters.web.fetch import fetch
    from auth.oidc import OidcProvider

    provider = OidcProvider(issuer=settings.oidc_issuer, audience=settings.oidc_audience, fetch=fetch, clock=clock)
    users = Identities(
        records=records,
        passwords=passwords,
        audit=audit,
        clock=clock,
        may_make=settings.oidc_sign_up,
        limits=Limits(stored_bytes_max=settings.tenant_bytes_max),
    )
    return ForeignLogIns(provider, users)


def _mail(settings: Settings, clock: Clock) -> Mail:
    if settings.smtp_host is None:
        return Outbox(settings.data_dir / "outbox", sender=settings.mail_from, clock=clock)
    from adapters.mail.smtp import SmtpMail, SmtpSettings

    server = SmtpSettings(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.mail_from,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=revealed(settings.smtp_password),
    )
    return SmtpMail(server, clock=clock)


def _upload_config(settings: Settings) -> Config:
    return Config(
        base_path=UPLOADS_PATH,
        public_url=settings.public_url,
        cors_origins=_origins(settings),
        idle_timeout_seconds=settings.body_idle_seconds,
        rate_min_bytes_per_second=settings.body_rate_min,
    )


def _graphql_config(product: Product) -> GraphQLConfig:
    version = importlib.metadata.version("lighterage")
    facts = Facts(
        version=version,
        tus_url=f"{product.address}{UPLOADS_PATH}",
        public_url=product.address,
        sign_up_enabled=product.services.registration.is_open,
    )
    return GraphQLConfig(facts=facts, origins=_origins(product.settings))


def _origins(settings: Settings) -> frozenset[str]:
    return frozenset(origin.strip() for origin in settings.cors_origins.split(",") if origin.strip())


async def _signing_key(records: Records, clock: Clock) -> SigningKey:
    """Give the key that signs tokens; whichever process is first makes it."""
    keys = records.collection(SIGNING_KEYS)
    made = SigningKey(id="key_1", private_pem=new_private_key(), created_at=clock.now())
    with suppress(Conflict):
        return await keys.add(made)
    return await keys.get(SYSTEM, made.id)


async def _open_records(stack: AsyncExitStack, settings: Settings, bus: LocalEvents) -> Records:
    if settings.mongo_url is not None:
        from adapters.records.mongo import MongoRecords

        mongo = await stack.enter_async_context(
            MongoRecords.open(settings.mongo_url, KINDS, database_name=settings.mongo_database)
        )
        await _pour(stack, mongo.changes(FILE_EVENTS), bus)
        return mongo
    waits_for_disk = not is_in_memory(str(settings.data_dir))
    path = settings.data_dir / "lighterage.db"
    opening = SqliteRecords.open(path, KINDS, syncs=settings.fsync, waits_for_disk=waits_for_disk)
    records = await stack.enter_async_context(opening)
    await _pour(stack, records.changes(), bus)
    return records


def _locks(stack: AsyncExitStack, settings: Settings, records: Records, clock: Clock) -> LockManager:
    if settings.mongo_url is None:
        # Processes that share the database's file are of one machine, whose kernel keeps locks at no cost.
        return stack.enter_context(MachineLocks(settings.data_dir / "lighterage.locks"))
    return LeaseLocks(records=records, clock=clock)


async def _open_blobs(
    stack: AsyncExitStack, settings: Settings, clock: Clock, meters: Meters
) -> tuple["LocalBlobs | S3Blobs", Callable[[BlobKey], str] | None]:
    """Give the store, and how its files are found on this machine where they are."""
    if settings.s3_bucket is None:
        local = LocalBlobs(settings.data_dir / "files", fsync=settings.fsync, free_bytes_min=settings.free_bytes_min)
        return local, local.path_of
    from adapters.blobs.bucket import S3Settings
    from adapters.blobs.s3 import S3Blobs

    spool = settings.data_dir / "spool"
    spool.mkdir(exist_ok=True)
    bucket = S3Settings(
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        endpoint=settings.s3_endpoint,
        access_key=settings.s3_access_key_id,
        secret_key=revealed(settings.s3_secret_access_key),
        session_token=revealed(settings.s3_session_token),
        prefix=settings.s3_prefix,
        path_style=settings.s3_path_style,
        sse=settings.s3_sse,
        sse_kms_key_id=settings.s3_sse_kms_key_id,
        storage_class=settings.s3_storage_class,
        conditional_writes=settings.s3_conditional_writes,
        payload_signed=settings.s3_payload_signed,
        part_size_bytes=settings.s3_part_mib * 2**20,
        part_size_bytes_max=settings.s3_part_mib_max * 2**20,
        parts_equal=settings.s3_parts_equal,
        part_slots_max=settings.s3_part_slots,
    )
    return await stack.enter_async_context(S3Blobs(bucket, clock=clock, spool=spool, observer=meters.row)), None


def _linking(blobs: "LocalBlobs | S3Blobs", settings: Settings) -> LinkingBlobStore | None:
    return None if settings.downloads == "stream" or isinstance(blobs, LocalBlobs) else blobs


def _selecting(blobs: "LocalBlobs | S3Blobs", settings: Settings) -> SelectingBlobStore | None:
    return None if settings.s3_select == "off" or isinstance(blobs, LocalBlobs) else blobs


def _warehousing(settings: Settings) -> Warehousing | None:
    if settings.trino_url is None or settings.s3_bucket is None:
        return None
    from adapters.warehouses.trino import Trino, TrinoSettings

    cluster = TrinoSettings(
        url=settings.trino_url,
        user=settings.trino_user,
        catalog=settings.trino_catalog,
        schema=settings.trino_schema,
        password=revealed(settings.trino_password),
    )
    place = f"s3://{settings.s3_bucket}/{settings.s3_prefix}"
    return Warehousing(
        Trino(cluster),
        location_of=lambda key: place + key.rpartition("/")[0] + "/",
        bytes_min=settings.trino_mib_min * 2**20,
    )


async def _open_engine(stack: AsyncExitStack, settings: Settings, clock: Clock) -> QueryEngine | None:
    if settings.query_workers == 0:
        return None
    limits = EngineLimits(
        workers=settings.query_workers,
        threads=settings.query_threads,
        memory_bytes=settings.query_memory_mib * 2**20,
        timeout_seconds=settings.query_timeout_seconds,
        scan_bytes_max=settings.query_scan_bytes_max,
        result_bytes_max=settings.query_result_bytes_max,
    )
    return await stack.enter_async_context(QueryEngine(limits, now=clock.now))


async def _pour(stack: AsyncExitStack, changes: AsyncGenerator[None, None], bus: LocalEvents) -> None:
    """Let changes that other processes make to the database wake the listeners of this one."""

    async def pour() -> None:
        async with aclosing(changes):
            async for _ in changes:
                bus.wake_all()
                await asyncio.sleep(WAKE_INTERVAL_SECONDS)

    stack.push_async_callback(_end, {asyncio.create_task(pour())})


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    # Again and again: `asyncio.wait_for` of Python 3.11, as a database driver uses it, may swallow a cancellation.
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
