"""SQL over files: who may ask about which file. What SQL means is tested with the engine."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import FileNotReady, NotFound, PermissionDenied, SqlInvalid, Unauthenticated
from domain.file import FILES, FileStatus
from domain.principal import GUEST, Scope
from services.reading import Format, Select, format_of

COUNT = Select("SELECT COUNT(*) FROM S3Object")


@pytest.fixture
async def file(world):
    await world.anna.upload(b"a,b\n1,2\n", name="a.csv")
    return await world.file_of(world.anna)


async def select(world, principal, file_id):
    return await world.product.services.queries.select(principal, file_id, COUNT, limit=10)


async def test_only_own_files_can_be_asked_about_R000_29(world, file):
    """Another tenant's file and none are the same; a guest has to log in; a token needs the scope."""
    anna = world.anna.principal
    with pytest.raises(NotFound):
        await select(world, world.bert.principal, file.id)
    with pytest.raises(NotFound):
        await select(world, anna, "../a.csv")
    with pytest.raises(Unauthenticated):
        await select(world, GUEST, file.id)
    with pytest.raises(PermissionDenied):
        await select(world, replace(anna, scopes=anna.scopes - {Scope.FILES_QUERY}), file.id)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"deleted_at": timedelta(0)}, NotFound),
        ({"expires_at": timedelta(0)}, NotFound),
        ({"status": FileStatus.FAILED}, FileNotReady),
        ({"status": FileStatus.PROCESSING}, FileNotReady),
        ({"expires_at": timedelta(seconds=1)}, SqlInvalid),  # it may be read; SQL is switched off in these tests
    ],
)
async def test_file_that_may_not_be_read_cannot_be_asked_about(world, file, changes, error):
    """SQL is a way of reading like any other."""
    now = world.clock.now()
    moved = {name: now + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    await world.product.records.collection(FILES).save(replace(file, **moved), expected_revision=file.revision)
    with pytest.raises(error):
        await select(world, world.anna.principal, file.id)


@pytest.mark.parametrize(
    ("name", "content_type", "expected"),
    [
        ("a.csv", "text/csv", Format.CSV),
        ("a.tsv", "text/tab-separated-values", Format.CSV),
        ("a.CSV.GZ", "application/gzip", Format.CSV),
        ("a.ndjson.zst", "application/zstd", Format.JSON_LINES),
        ("a.json", "application/json", Format.JSON_DOCUMENT),
        ("data", "application/vnd.apache.parquet", Format.PARQUET),
        ("notes", "text/plain", Format.CSV),
        ("a.gz", "application/gzip", None),
        ("a.png", "image/png", None),
        ("csv", "application/octet-stream", None),
    ],
)
async def test_format_is_told_by_type_and_name(file, name, content_type, expected):
    """How it is packed is not what it is."""
    assert expected is format_of(replace(file, name=name, content_type=content_type))
