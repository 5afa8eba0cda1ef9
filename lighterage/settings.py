"""
Every setting of the product, in one place: its name, its default, what it takes and what it does.

Only this module reads the environment. A setting comes from the environment or, behind it, from a file `.env` in the
working directory; an empty value counts as not set. Every bad value is reported at once, with what would be right.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, SecretStr, ValidationError

from domain.errors import InvalidValue
from domain.job import parse_rules
from domain.rate import parse_rate
from domain.user import parse_email
from domain.version import VERSIONS_MAX
from lighterage.proxies import parse_networks

PREFIX = "LIGHTERAGE_"
_WITH_SECRETS = {"mongo_url"}  # a password may be part of them


class SettingsError(Exception):
    """Settings that cannot be right. The message has a line for each, for whoever starts the server."""


def _url(text: str) -> str:
    HttpUrl(text)
    return text.rstrip("/")


def _email(text: str) -> str:
    try:
        return parse_email(text)
    except InvalidValue as error:
        raise ValueError(error.message) from error


def _rate(text: str) -> str:
    try:
        parse_rate(text)
    except InvalidValue as error:
        raise ValueError(error.message) from error
    return text


def _rules(text: str) -> str:
    try:
        parse_rules(text)
    except InvalidValue as error:
        raise ValueError(error.message) from error
    return text


def parse_sqs_queues(text: str) -> dict[str, str]:
    """Read the URL of one queue, or `kind=URL, *=URL`."""
    queues: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        kind, equals, url = entry.partition("=")
        if not equals or "/" in kind:
            kind, url = "*", entry
        HttpUrl(url)
        queues[kind.strip()] = url.strip()
    return queues


def _sqs_queues(text: str) -> str:
    parse_sqs_queues(text)
    return text


def _networks(text: str) -> str:
    parse_networks(text)
    return text


def _mongo_url(text: str) -> str:
    if not text.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("a MongoDB URL starts with mongodb:// or mongodb+srv://")
    return text


def _setting(default: Any, meaning: str, *, names: tuple[str, ...] = (), **bounds: Any) -> Any:
    return Field(default=default, description=meaning, json_schema_extra={"names": list(names)}, **bounds)


HttpAddress = Annotated[str, AfterValidator(_url)]
SqsText = Annotated[str, AfterValidator(_sqs_queues)]
RulesText = Annotated[str, AfterValidator(_rules)]
RateText = Annotated[str, AfterValidator(_rate)]
Networks = Annotated[str, AfterValidator(_networks)]


class Settings(BaseModel):
    """The settings, checked. Field `data_dir` is the variable `LIGHTERAGE_DATA_DIR`, and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    host: str = _setting("127.0.0.1", "Address to listen on; `0.0.0.0` for every network.")
    port: int = _setting(8000, "Port to listen on; 0 takes a free one and prints it.", ge=0, le=65535)
    processes: int = _setting(
        1,
        "Processes that serve, on one address; as many as there are cores let uploads use them all. Each has its own"
        " `LIGHTERAGE_QUERY_WORKERS` and counts its own rates.",
        ge=1,
        le=64,
    )
    data_dir: Path = _setting(Path("data"), "Where everything is kept that is not in MongoDB or S3.")
    public_url: HttpAddress | None = _setting(
        None, "Address under which clients reach this server, as `https://files.example.org`. Makes absolute links."
    )
    admin_email: Annotated[str, AfterValidator(_email)] = _setting(
        "admin@localhost", "Login of the administrator made at the first start."
    )
    admin_password: SecretStr | None = _setting(
        None, "The administrator's password. Not set: one is made at the first start and printed once."
    )
    debug: bool = _setting(
        False,
        "Log more. Refused when listening on a public address without `LIGHTERAGE_DEBUG_FORCE`.",
        names=("DEBUG",),
    )
    debug_force: bool = _setting(False, "Allow `DEBUG` on a public address.")
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "Least important messages to log.")

    access_log: Literal["off", "errors", "all"] = _setting(
        "errors", "Requests to log when they have ended: those that failed on the server's side, or `all`."
    )
    metrics: bool = _setting(True, "Serve `/metrics` for Prometheus: numbers, which name no tenant, user or file.")
    metrics_token: SecretStr | None = _setting(
        None, "What a scraper must send to `/metrics` as a bearer token. Not set: anyone may read it."
    )
    otlp_endpoint: HttpAddress | None = _setting(
        None,
        "Send a trace of each request to this OpenTelemetry collector (OTLP over HTTP), as `http://127.0.0.1:4318`. "
        "Needs the extra `opentelemetry`.",
    )

    mongo_url: Annotated[str, AfterValidator(_mongo_url)] | None = _setting(
        None, "Keep users and metadata in this MongoDB instead of the data directory."
    )
    mongo_database: str | None = _setting(
        None, "Database in MongoDB. Not set: as the URL says, else `lighterage`.", min_length=1, max_length=63
    )

    s3_bucket: str | None = _setting(
        None, "Keep files in this S3 bucket instead of the data directory.", names=("AWS_STORAGE_BUCKET_NAME",)
    )
    s3_endpoint: HttpAddress | None = _setting(
        None, "Address of an S3 server other than AWS.", names=("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    )
    s3_region: str = _setting(
        "us-east-1", "Region of the bucket.", names=("AWS_S3_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
    )
    s3_prefix: str = _setting("", "Put before every object's key, as `lighterage/`.")
    s3_access_key_id: str | None = _setting(
        None, "Access key. Not set: boto3 looks where it always does.", names=("AWS_ACCESS_KEY_ID",)
    )
    s3_secret_access_key: SecretStr | None = _setting(
        None, "Secret of the access key.", names=("AWS_SECRET_ACCESS_KEY",)
    )
    s3_session_token: SecretStr | None = _setting(
        None, "Session token of temporary credentials.", names=("AWS_SESSION_TOKEN",)
    )

    s3_path_style: bool | None = _setting(
        None, "Put the bucket into the path. Not set: only with an endpoint of its own."
    )
    s3_sse: Literal["AES256", "aws:kms"] | None = _setting(
        None, "Encryption at rest to ask for. Not set: as the bucket does by itself."
    )
    s3_sse_kms_key_id: str | None = _setting(None, "Key for `aws:kms`.")
    s3_storage_class: str | None = _setting(None, "Storage class of new objects, as `STANDARD_IA`.")
    s3_conditional_writes: bool = _setting(
        True, "The server knows `If-None-Match: *`; switch off for one that does not."
    )
    s3_part_mib: int = _setting(16, "Wanted size of a part; larger where the length asks for it.", ge=5, le=5120)
    s3_parts_equal: bool = _setting(False, "All parts but the last have one size, as Cloudflare R2 wants.")
    s3_part_mib_max: int = _setting(
        5120, "Largest part that the server takes; files are no longer than 9,800 of them.", ge=5, le=5120
    )
    s3_part_slots: int = _setting(
        4,
        "Parts that a process holds in memory, `LIGHTERAGE_S3_PART_MIB` each; what finds no room waits in files.",
        ge=1,
        le=1024,
    )
    s3_payload_signed: bool | None = _setting(
        None,
        "Sign the SHA-256 of bodies; parts are then sent when they are whole. Not set: only over plain HTTP to another"
        " machine. Off there, only TCP's checksum notices what the network changes.",
    )
    downloads: Literal["stream", "redirect"] = _setting(
        "stream",
        "How bytes reach clients: through this server, or, with a bucket, straight from there by a signed address that "
        "is good for five minutes. A browser's page may then read them only if the bucket's CORS rules let it.",
    )
    s3_select: Literal["off", "aws"] = _setting(
        "off",
        "Let the store run queries itself: `aws`, for a bucket at AWS whose account has S3 Select; no other store is "
        "known to give the same answers.",
    )

    file_size_max: int = _setting(2**63 - 1, "Bytes in one file at most.", ge=1, le=2**63 - 1)
    upload_lifetime_hours: int = _setting(
        168, "How long an unfinished upload is kept after its last bytes.", ge=1, le=24 * 365
    )
    body_idle_seconds: float = _setting(
        60, "A request of which nothing comes for so long is ended; what came is kept.", gt=0, le=3600
    )
    body_rate_min: int = _setting(
        64, "A body that stays slower than so many bytes a second for `LIGHTERAGE_BODY_IDLE_SECONDS` is idle too.", ge=0
    )
    head_seconds: float = _setting(20, "A request's head must be there in so long a time.", gt=0, le=3600)
    head_kib_max: int = _setting(
        64, "Header fields of one request at most; 64 KiB name 1,500 uploads to be joined.", ge=8, le=4096
    )
    allowed_hosts: str = _setting(
        "*", "Hosts that requests may be meant for, without port, separated by commas; `*` for any."
    )
    fsync: bool = _setting(
        True,
        "Wait for the disk before acknowledging. Off, acknowledged bytes survive a killed process, not a power cut.",
    )
    hash_all: bool = _setting(
        False,
        "Compute every file's SHA-256 while it comes. Off, that is done for files of up to 1 MiB and where the client"
        " declared a digest; the others are read once more when they are complete.",
    )
    free_bytes_min: int = _setting(256 * 2**20, "Refuse uploads when the disk has less room than this.", ge=0)
    cors_origins: str = _setting("*", "Origins whose pages may upload, separated by commas; `*` for every one.")

    users: SecretStr | None = _setting(
        None,
        "Users who are there from every start on, each with a tenant of their own: `alice:pw,bob:pw`. Taking one out "
        "removes nobody.",
        names=("USERS",),
    )
    environment: str = _setting("", "`production` makes `lighterage seed` refuse.", names=("ENV",))
    basic_auth: bool = _setting(False, "Take name and password by HTTP Basic with every request.")
    access_token_minutes: int = _setting(15, "How long an access token is good.", ge=1, le=24 * 60)
    refresh_token_days: int = _setting(30, "How long a log-in lasts without use.", ge=1, le=365)
    log_in_rate: RateText = _setting(
        "10/15m", "Wrong log-ins with one name from one address, then 429; as `10/15m`, `5/h` or `off`."
    )
    address_rate: RateText = _setting(
        "300/15m", "Log-ins, refreshes, sign-ups and requests for letters from one address together."
    )
    mail_rate: RateText = _setting("5/h", "Letters to one mail address, whoever asks for them.")
    creation_rate: RateText = _setting("6000/m", "Uploads that one user may create.")
    trusted_proxies: Networks = _setting(
        "",
        "Proxies in front of this server, addresses or networks separated by commas: who asks and under which address "
        "is what they say. Not set: none, and behind a proxy all clients are one address.",
    )
    proxy_fields: Literal["x-forwarded", "forwarded"] = _setting(
        "x-forwarded", "Which fields they set: `X-Forwarded-For`, `-Proto`, `-Host`, `-Prefix`, or `Forwarded`."
    )
    audit_days: int = _setting(365, "How long it is kept who did what that touches security.", ge=1, le=3650)
    versions_max: int = _setting(10, "Old versions of a file that are kept, with their bytes.", ge=0, le=VERSIONS_MAX)
    event_days: int = _setting(7, "How long file events are kept for clients that were away.", ge=1, le=365)

    processing: RulesText = _setting(
        "maps=process!",
        "Which jobs the files of a collection get, as `maps=process!; *=scan! profile`: `*` is every file, `!` says"
        " that it may not be read before. `process` is for a system outside.",
    )

    sqs_queues: SqsText = _setting(
        "",
        "Queues of SQS that jobs are handed out through: the URL of one for all kinds, or `process=URL, *=URL`. Not"
        " set: the records are the queue.",
    )
    sqs_endpoint: HttpAddress | None = _setting(
        None, "Address of an SQS other than AWS's.", names=("AWS_ENDPOINT_URL_SQS",)
    )
    worker_jobs: int = _setting(
        1,
        "Jobs that the serving process does at once, where `LIGHTERAGE_PROCESSING` names kinds that it can do; 0 leaves"
        " them to `lighterage worker`.",
        ge=0,
        le=64,
    )
    clamd: str | None = _setting(
        None,
        "clamd, for jobs of kind `scan`: `host:port`, or the path of its socket. Not set: nobody takes such jobs.",
        pattern=r"/.+|.+:[0-9]{1,5}",
    )
    scan_bytes_max: int = _setting(
        100 * 2**20, "Largest file that clamd is given; its `StreamMaxLength`. A larger one's scan fails.", ge=1
    )
    image_pixels_max: int = _setting(64_000_000, "Pixels of a picture that is read.", ge=1, le=2**28)

    open_users: bool = _setting(
        False,
        "Everybody may read `/users` and add to it, and there is one directory; else each tenant has its own.",
        names=("OPEN_USERS",),
    )
    users_table: str | None = _setting(
        None, "Keep the directory in this table of DynamoDB, whose key is `email`; needs `LIGHTERAGE_OPEN_USERS`."
    )
    dynamodb_endpoint: HttpAddress | None = _setting(
        None, "Address of another server than AWS's.", names=("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL")
    )
    avatar_url: str | None = _setting(
        None,
        "Addresses of avatars, as `https://{bucket}.s3.{region}.amazonaws.com/{key}` or with `{name}`. Not set: that, "
        "for a bucket at AWS, whose policy must let the world read `avatars/`; else this server's.",
    )

    webhook_networks: Networks = _setting(
        "",
        "Networks that webhooks may reach though they are not public, separated by commas; where there are any, plain"
        " http is taken too.",
    )

    sign_up: bool = _setting(True, "Strangers may make accounts, each with a tenant of their own.")
    tenant_bytes_max: int | None = _setting(
        None, "Quota, in bytes, of each tenant that a sign-up makes. Not set: none.", ge=0, le=2**63 - 1
    )
    verify_email: bool = _setting(True, "Who signs up must confirm the e-mail address before logging in.")
    oidc_issuer: str | None = _setting(
        None, "Issuer (OpenID Connect) whose access tokens are taken too, exactly as it writes itself."
    )
    oidc_audience: str | None = _setting(None, "What such a token must be made for: its `aud`.")
    oidc_sign_up: bool = _setting(True, "Make a user of whoever comes with such a token for the first time.")
    mail_from: Annotated[str, AfterValidator(_email)] = _setting("lighterage@localhost", "Sender of letters.")
    smtp_host: str | None = _setting(
        None, "Mail server. Not set: letters are laid into the folder `outbox` of the data directory."
    )
    smtp_port: int = _setting(587, "Port of the mail server.", ge=1, le=65535)
    smtp_tls: Literal["starttls", "tls", "none"] = _setting(
        "starttls", "Encryption to the mail server; without it only `none` goes on."
    )
    smtp_username: str | None = _setting(None, "User name at the mail server.")
    smtp_password: SecretStr | None = _setting(None, "Password at the mail server.")

    graphql: bool = _setting(True, "Serve `/graphql` and `/graphiql`.")
    query_workers: int = _setting(1, "Processes that run SQL over files; 0 switches SQL off.", ge=0, le=64)
    query_threads: int = _setting(2, "Threads of each such process.", ge=1, le=64)
    query_memory_mib: int = _setting(256, "Memory of each such process.", ge=64, le=65536)
    query_timeout_seconds: float = _setting(60, "A query that runs longer is ended.", gt=0, le=3600)
    query_per_tenant: int = _setting(4, "Queries of one tenant that run or wait at once.", ge=1, le=1024)
    trino_url: HttpAddress | None = _setting(
        None, "A Trino that runs queries over large CSV files in S3, as `https://trino.example.org:8443`."
    )
    trino_user: str = _setting("lighterage", "Who asks it.")
    trino_password: SecretStr | None = _setting(None, "By which it knows them; over TLS only.")
    trino_catalog: str = _setting("hive", "Its catalog of the Hive connector, which reads the bucket.")
    trino_schema: str = _setting("default", "The schema in it in which tables may be made.")
    trino_mib_min: int = _setting(1024, "Smaller files are read here.", ge=0)

    query_scan_bytes_max: int | None = _setting(
        None, "Size of a file that a query may read without a scan range. Not set: any.", ge=1
    )
    query_result_bytes_max: int | None = _setting(
        None, "Bytes of a result; one that is larger fails. Not set: any.", ge=1
    )


def revealed(secret: SecretStr | None) -> str | None:
    """Give a secret to the adapter that needs it."""
    return secret.get_secret_value() if secret is not None else None


def names_of(field: str) -> list[str]:
    """Give the variables that a setting is read from, the first that is set wins."""
    extra = Settings.model_fields[field].json_schema_extra
    assert isinstance(extra, dict)
    others = extra["names"]
    assert isinstance(others, list)
    return [PREFIX + field.upper(), *map(str, others)]


def users_of(settings: Settings) -> list[tuple[str, str]]:
    """
    Give names and passwords of the users that the environment names. A name holds no colon, a password no comma.

    Raises:
        ValueError: It has another form.
    """
    pairs = []
    for entry in (revealed(settings.users) or "").split(","):
        if entry.strip():
            name, colon, password = entry.strip().partition(":")
            if not colon or not name.strip() or not password:
                raise ValueError("USERS is written as alice:password,bob:password")
            pairs.append((name.strip(), password))
    return pairs


def load_settings(environ: Mapping[str, str] | None = None, *, env_file: Path | None = Path(".env")) -> Settings:
    """
    Read the settings.

    Args:
        environ: Instead of the process's environment.
        env_file: Read behind the environment; need not exist.

    Raises:
        SettingsError: Something cannot be right; every such thing is in the message.
    """
    read = {key: value or "" for key, value in dotenv_values(env_file).items()} if env_file is not None else {}
    read.update(os.environ if environ is None else environ)
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    for field in Settings.model_fields:
        for name in names_of(field):
            if read.get(name, ""):
                values[field], sources[field] = read[name], name
                break
    problems = _unknown_names(read)
    settings = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [_problem(fault, sources) for fault in error.errors()]
    if settings is not None:
        problems += _contradictions(settings, sources)
    if problems or settings is None:
        raise SettingsError("\n".join(problems))
    return settings


def _unknown_names(read: Mapping[str, str]) -> list[str]:
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    unknown = sorted(name for name in read if name.startswith(PREFIX) and name not in known and read[name])
    others = tuple(PREFIX + name for name in ("TEST_", "URL", "TOKEN"))  # told to the tests and the client commands
    return [f"{name}: there is no such setting" for name in unknown if not name.startswith(others)]


def _problem(fault: Any, sources: Mapping[str, str]) -> str:
    field = str(fault["loc"][0])
    name = sources.get(field, PREFIX + field.upper())
    meaning = Settings.model_fields[field].description or ""
    is_secret = field in _WITH_SECRETS or "SecretStr" in str(Settings.model_fields[field].annotation)
    given = "" if is_secret else f" (is {str(fault['input'])[:60]!r})"
    return f"{name}{given}: {fault['msg'].removeprefix('Value error, ')}. {meaning}"


def _contradictions(settings: Settings, sources: Mapping[str, str]) -> list[str]:
    problems = []
    is_public = settings.host not in ("127.0.0.1", "::1", "localhost")
    if settings.debug and is_public and not settings.debug_force:
        problems.append("DEBUG is on while listening on a public address: switch it off, or listen on 127.0.0.1.")
    if (settings.s3_access_key_id is None) != (settings.s3_secret_access_key is None):
        problems.append("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together: set both or neither.")
    if settings.trino_url is not None and settings.s3_bucket is None:
        problems.append("LIGHTERAGE_TRINO_URL is set without a bucket: Trino reads files in S3 only.")
    if settings.trino_password is not None and not str(settings.trino_url).startswith("https:"):
        problems.append("LIGHTERAGE_TRINO_PASSWORD goes over TLS only: LIGHTERAGE_TRINO_URL must begin with https.")
    try:
        users_of(settings)
    except ValueError as error:
        problems.append(f"{error}.")
    if (settings.oidc_issuer is None) != (settings.oidc_audience is None):
        problems.append("LIGHTERAGE_OIDC_ISSUER and LIGHTERAGE_OIDC_AUDIENCE go together: set both or neither.")
    if settings.downloads == "redirect" and settings.s3_bucket is None:
        problems.append("LIGHTERAGE_DOWNLOADS=redirect needs a bucket: set LIGHTERAGE_S3_BUCKET.")
    if settings.users_table is not None and not settings.open_users:
        problems.append("LIGHTERAGE_USERS_TABLE has one directory for all: set LIGHTERAGE_OPEN_USERS too.")
    if (settings.smtp_username is None) != (settings.smtp_password is None):
        problems.append("LIGHTERAGE_SMTP_USERNAME and LIGHTERAGE_SMTP_PASSWORD go together: set both or neither.")
    if sources.get("s3_endpoint") == PREFIX + "S3_ENDPOINT" and settings.s3_bucket is None:
        problems.append("LIGHTERAGE_S3_ENDPOINT is set without LIGHTERAGE_S3_BUCKET: name the bucket.")
    return problems


def settings_table() -> str:
    """Write docs/reference/settings.md's table."""
    lines = ["| variable | default | what it does |", "| --- | --- | --- |"]
    for field, info in Settings.model_fields.items():
        first, *others = names_of(field)
        default = "" if info.default is None else str(info.default)
        also = f" Also read from {', '.join(f'`{name}`' for name in others)}." if others else ""
        lines.append(f"| `{first}` | {f'`{default}`' if default else ''} | {info.description}{also} |")
    return "\n".join(lines) + "\n"
