"""The use case of receipts: a signed statement of a finished upload, for who may read the file."""

from auth.tokens import TokenService
from domain.errors import FileNotReady
from domain.file import File
from domain.ids import FileId
from domain.principal import Principal
from services.files import FileService


class ReceiptService:
    def __init__(self, *, files: FileService, tokens: TokenService, issuer: str) -> None:
        self._files = files
        self._tokens = tokens
        self._issuer = issuer

    async def receipt(self, principal: Principal, file_id: FileId) -> tuple[File, str]:
        """
        Give the receipt of a file: also before it was processed, for its bytes were received.

        Raises:
            FileNotReady: Its digest is still being computed.
        """
        file = await self._files.get(principal, file_id)
        if file.sha256 is None:
            raise FileNotReady("the file's SHA-256 is still being computed")
        return file, self._tokens.sign_receipt(file, issuer=self._issuer)
