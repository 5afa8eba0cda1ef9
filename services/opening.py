"""
Files that whoever knows their id may read: found without knowing the tenant.

Their visibility decides, and is looked at each time; what is recorded here only says where to look.
"""

from domain.errors import NotFound
from domain.file import FILES, OPEN_FILES, File, OpenFile
from domain.ids import SYSTEM, FileId, TenantId, is_id
from domain.records import Add, Delete, Records, Write


def opening(file: File, *, was_open: bool = False) -> list[Write]:
    """Give what has to be written together with a file, so that it is found from outside if it is open."""
    if file.visibility.is_open:
        return [Add(OPEN_FILES, OpenFile(file.id, TenantId(file.tenant_id)), if_absent=True)]
    return [Delete(OPEN_FILES, SYSTEM, file.id)] if was_open else []


async def find_open_file(records: Records, file_id: FileId) -> File:
    """
    Give an open file, whoever asks.

    Raises:
        NotFound: There is none, or it is not open.
    """
    if not is_id(file_id, "file"):
        raise NotFound("file")
    try:
        place = await records.collection(OPEN_FILES).get(SYSTEM, file_id)
        file = await records.collection(FILES).get(place.of_tenant, file_id)
    except NotFound as error:
        raise NotFound("file") from error
    if not file.visibility.is_open:
        raise NotFound("file")
    return file
