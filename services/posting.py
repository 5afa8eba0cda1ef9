"""
The use case of a file that comes whole in one body, of a request or of our own making: stored and finished, or nothing
is left.

Nobody can continue it, for nobody was told an address; so what breaks off is dropped at once.
"""

from collections.abc import Callable
from contextlib import suppress

from domain.errors import LighterageError
from domain.file import FILES, File
from domain.ids import UploadId
from domain.principal import Principal
from domain.records import Records
from domain.upload import AppendBytes, Body, BodyEnd, NewUpload, Upload, UploadStatus
from services.uploads import UploadService


class PostingService:
    def __init__(self, *, records: Records, uploads: UploadService) -> None:
        self._files = records.collection(FILES)
        self._uploads = uploads

    @property
    def length_max(self) -> int:
        return self._uploads.length_max

    async def post(
        self,
        principal: Principal,
        new: NewUpload,
        body: Body,
        *,
        body_length: int | None = None,
        late: Callable[[], NewUpload] | None = None,
    ) -> File | None:
        """
        Store a file of this one body.

        Args:
            new: With the length, where it is known.
            body_length: Bytes of the body where that is known.
            late: Says again what the file is to be, when the body ended as STOPPED: it said more behind the bytes.

        Returns:
            The file, or None where the body ended before its time; then nothing was kept.

        Raises:
            LighterageError: As UploadService does; nothing was kept.
        """
        upload = await self._uploads.begin(principal, new)
        if upload.status is not UploadStatus.COMPLETED:
            try:
                upload = await self._receive(principal, upload, body, body_length, late)
            except BaseException:  # given up by its caller, too
                await self._drop(principal, upload.id)
                raise
        if upload.status is not UploadStatus.COMPLETED:
            await self._drop(principal, upload.id)
            return None
        return await self._files.get(upload.tenant_id, upload.file_id)

    async def _receive(
        self,
        principal: Principal,
        upload: Upload,
        body: Body,
        body_length: int | None,
        late: Callable[[], NewUpload] | None,
    ) -> Upload:
        command = AppendBytes(upload.id, offset=0, body_length=body_length, is_last=True)
        upload = await self._uploads.append(principal, command, body)
        if late is None or body.ended_by is not BodyEnd.STOPPED:
            return upload
        return await self._uploads.finish_as(principal, upload.id, late())

    async def _drop(self, principal: Principal, upload_id: UploadId) -> None:
        with suppress(LighterageError):  # it may be gone already; maintenance finds what could not be dropped now
            await self._uploads.terminate(principal, upload_id)
