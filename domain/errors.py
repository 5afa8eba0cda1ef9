"""
Everything that can go wrong in a way a caller should tell apart.

One class a fault, named by the noun, with a stable `code`. Messages are English, safe to show, and hold no secret and
no path of the server; `hint` says what to do next. Faces turn a code into a status in one table each.
"""

from typing import ClassVar

from domain.blob import BlobWriter


class LighterageError(Exception):
    """The base of every fault that a caller may be told about."""

    code: ClassVar[str]
    hint: ClassVar[str] = ""

    @property
    def message(self) -> str:
        return str(self)


# ---- things and rights


class NotFound(LighterageError):
    """There is no such thing, or it is somebody else's: the two look the same on purpose."""

    code = "not_found"
    hint = "Check the id; a thing of another tenant and a missing thing look the same."

    def __init__(self, kind: str) -> None:
        super().__init__(f"there is no such {kind}")
        self.kind = kind


class Conflict(LighterageError):
    """The thing was changed by another, or one with the same unique value is there already."""

    code = "conflict"
    hint = "Read it again and repeat the change on what you find."


class Unauthenticated(LighterageError):
    """Nobody is logged in, or the credentials do not hold."""

    code = "unauthenticated"
    hint = "Log in and send the access token as 'Authorization: Bearer …'."


class TokenInvalid(Unauthenticated):
    """A token is forged, used up, revoked or made for another purpose."""

    code = "token_invalid"


class TokenExpired(Unauthenticated):
    """A token's time has passed."""

    code = "token_expired"
    hint = "Get a new access token with your refresh token, or log in again."


class SignatureInvalid(Unauthenticated):
    """A signed request (AWS Signature Version 4) is not what its key signed."""

    code = "signature_invalid"
    hint = "Check the secret access key, and that nothing between you and the server changes requests."


class ClockSkewed(Unauthenticated):
    """A signed request is too old, or from the future."""

    code = "clock_skewed"
    hint = "Set your machine's clock, and sign the request anew."

    def __init__(self) -> None:
        super().__init__("the request was signed at another time than now")


class InvalidCredentials(Unauthenticated):
    """Name and password do not go together; which of them is wrong is not said."""

    code = "invalid_credentials"
    hint = "Check the user name or e-mail address and the password."

    def __init__(self) -> None:
        super().__init__("the user name or the password is wrong")


class EmailNotVerified(LighterageError):
    """The password is right, but nobody has shown yet that the e-mail address is theirs."""

    code = "email_not_verified"
    hint = "Open the link in the mail that you were sent, or ask for another."

    def __init__(self) -> None:
        super().__init__("the e-mail address has not been confirmed yet")


class AccountDisabled(LighterageError):
    """The password is right, but whoever runs the server switched the account off."""

    code = "account_disabled"
    hint = "Ask whoever runs the server to switch the account on again."

    def __init__(self) -> None:
        super().__init__("this account is switched off")


class SignUpDisabled(LighterageError):
    """Strangers may not make accounts on this server."""

    code = "sign_up_disabled"
    hint = "Ask whoever runs the server for an account."

    def __init__(self) -> None:
        super().__init__("accounts are made by whoever runs this server")


class PermissionDenied(LighterageError):
    """The caller is known, but may not do this."""

    code = "permission_denied"
    hint = "Ask an administrator of the tenant for the role or scope."


class InvalidValue(LighterageError):
    """A value that the caller sent cannot be right."""

    code = "invalid_value"
    hint = "Correct the named field and send the request again."

    def __init__(self, message: str, *, path: tuple[str, ...] = (), reason: str = "invalid") -> None:
        super().__init__(message)
        self.path, self.reason = path, reason


class CursorInvalid(InvalidValue):
    """A cursor was made by another list, another order, or not by us."""

    code = "cursor_invalid"
    hint = "Start again without a cursor; a cursor goes only with the filter and order that made it."


class CursorTooOld(LighterageError):
    """The events after this cursor are no longer kept."""

    code = "cursor_too_old"
    hint = "Read the list anew, then subscribe without a cursor."

    def __init__(self) -> None:
        super().__init__("events as old as this cursor are no longer kept")


class RateLimited(LighterageError):
    """Too many tries in too short a time."""

    code = "rate_limited"
    hint = "Wait as long as Retry-After says."

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(f"too many requests; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


# ---- uploads


class OffsetMismatch(LighterageError):
    """The request continues at another place than the stored bytes end."""

    code = "offset_mismatch"
    hint = "Ask for the offset with HEAD and continue from there."

    def __init__(self, *, stored: int, requested: int) -> None:
        super().__init__(f"upload stands at byte {stored}, request starts at {requested}")
        self.stored, self.requested = stored, requested


class LengthExceeded(LighterageError):
    """More bytes than the upload's length, or a length past a limit."""

    code = "length_exceeded"
    hint = "Send no more than the declared length; a larger file needs a larger limit."


class LengthUnknown(LighterageError):
    """The upload's length has not been declared and this act needs it."""

    code = "length_unknown"
    hint = "Send Upload-Length with the last PATCH."

    def __init__(self) -> None:
        super().__init__("the upload's length has not been declared yet")


class LengthMismatch(LighterageError):
    """The upload's length is declared already, and this is another one."""

    code = "length_mismatch"
    hint = "An upload's length cannot change once it is declared."


class ChecksumMismatch(LighterageError):
    """The bytes that came are not the bytes that were announced. Nothing of them was kept."""

    code = "checksum_mismatch"
    hint = "Send the same chunk again from the same offset."

    def __init__(self, algorithm: str) -> None:
        super().__init__(f"the {algorithm} checksum does not match the bytes received")
        self.algorithm = algorithm


class UploadComplete(LighterageError):
    """The upload has all its bytes; nothing can be added."""

    code = "upload_complete"
    hint = "Nothing is left to send; find the file in the list of files."

    def __init__(self) -> None:
        super().__init__("the upload is already complete")


class UploadExpired(LighterageError):
    """The upload was not finished in time, or was terminated; its bytes are gone."""

    code = "upload_expired"
    hint = "Start a new upload."

    def __init__(self) -> None:
        super().__init__("the upload has expired or was terminated")


class UploadLocked(LighterageError):
    """Another request is writing to this upload and could not be made to stop."""

    code = "upload_locked"
    hint = "Wait a moment and ask for the offset again."
    retry_after_seconds = 1

    def __init__(self) -> None:
        super().__init__("another request is writing to this upload")


class ContentTypeNotAllowed(LighterageError):
    """The tenant does not take files of this type."""

    code = "content_type_not_allowed"
    hint = "See the tenant's limits for the types that are taken."


class QuotaExceeded(LighterageError):
    """The tenant has no room for this."""

    code = "quota_exceeded"
    hint = "Delete or purge files, or ask for a larger quota."


# ---- files and SQL


class FileNotReady(LighterageError):
    """The file is there, but its bytes may not be read yet."""

    code = "file_not_ready"
    hint = "Try again when the file's status is READY."
    retry_after_seconds = 5


class FileDeleted(LighterageError):
    """The file is in the trash, or its time is over."""

    code = "file_deleted"
    hint = "Restore the file first, as long as it is in the trash."

    def __init__(self) -> None:
        super().__init__("the file was deleted")


class NotProcessed(FileNotReady):
    """The file's bytes may not be read before it was processed."""

    code = "not_processed"
    hint = "Wait and try again; the file's status tells when it is ready."
    retry_after_seconds = 5


class LeaseLost(LighterageError):
    """The job was handed to another meanwhile, or is over: what this lease reports has no effect."""

    code = "lease_lost"
    hint = "Drop what you did and lease the next job; extend leases in time."

    def __init__(self) -> None:
        super().__init__("this lease is over")


class RangeNotSatisfiable(LighterageError):
    """No byte of the wanted range is in the file."""

    code = "range_not_satisfiable"
    hint = "Ask for a range inside the file's size."

    def __init__(self, *, size: int) -> None:
        super().__init__(f"the file has {size} bytes; the range lies outside")
        self.size = size


class SqlInvalid(LighterageError):
    """The statement, or the file read with it, is at fault. `sql_code` is the S3 Select error code."""

    code = "sql_invalid"
    hint = "See docs/reference/sql.md for the dialect."

    def __init__(self, message: str, *, sql_code: str, position: tuple[int, int] | None = None) -> None:
        """`position`: line and column in the statement, from 1; None where it is not the statement's fault."""
        super().__init__(message)
        self.sql_code, self.position = sql_code, position


class QueryLimitExceeded(LighterageError):
    """The query ran past its time, scan or result limit."""

    code = "query_limit_exceeded"
    hint = "Narrow the query, add a LIMIT, or ask for larger limits."


# ---- share links


class LinkExpired(LighterageError):
    """A share link's time is over, or its maker ended it."""

    code = "link_expired"
    hint = "Ask whoever sent you the link for a new one."

    def __init__(self) -> None:
        super().__init__("this link has ended")


class LinkExhausted(LighterageError):
    """A share link was used as often as it may be."""

    code = "link_exhausted"
    hint = "Ask whoever sent you the link for a new one."

    def __init__(self) -> None:
        super().__init__("this link has been used as often as it may be")


class LinkPasswordRequired(LighterageError):
    """A share link has a password, and none or another one came with the request."""

    code = "link_password_required"
    hint = "Send the password that you were given together with the link."

    def __init__(self, *, is_wrong: bool) -> None:
        super().__init__("this is not the link's password" if is_wrong else "this link needs a password")


# ---- stores


class StoreFull(LighterageError):
    """The blob store has no room left. `kept` is what an append had made durable by then, if it could."""

    code = "store_full"
    hint = "Try again later; the upload continues from where it stands once there is room."
    retry_after_seconds = 30

    def __init__(self, *, kept: BlobWriter | None = None) -> None:
        super().__init__("the store has no room left")
        self.kept = kept


class StoreUnavailable(LighterageError):
    """A store or database does not answer. `kept` is what an append had made durable by then, if it could."""

    code = "store_unavailable"
    hint = "Try again in a moment; nothing was changed."
    retry_after_seconds = 2

    def __init__(self, what: str, *, kept: BlobWriter | None = None) -> None:
        super().__init__(f"the {what} does not answer")
        self.kept = kept


class ScannerUnavailable(LighterageError):
    """The virus scanner does not answer."""

    code = "scanner_unavailable"
    hint = "Try again later; see that clamd runs where the server expects it."
    retry_after_seconds = 30

    def __init__(self) -> None:
        super().__init__("the virus scanner does not answer")


class ImagesUnavailable(LighterageError):
    """Pictures cannot be read on this server."""

    code = "images_unavailable"
    hint = "Install the extra `images` (Pillow) where the server or its worker runs."

    def __init__(self) -> None:
        super().__init__("pictures cannot be read on this server")
