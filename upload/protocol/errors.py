"""Faults that only a request to an upload address can have; everything else is in domain/errors.py."""

from domain.errors import LighterageError


class VersionUnsupported(LighterageError):
    """The request does not name a version of tus that is spoken here."""

    code = "version_unsupported"
    hint = "Send 'Tus-Resumable: 1.0.0', or 'Upload-Complete' for the IETF's resumable uploads."

    def __init__(self) -> None:
        super().__init__("the request names no protocol version that is spoken here; Tus-Version lists them")


class MethodNotAllowed(LighterageError):
    """The address does not know this method."""

    code = "method_not_allowed"
    hint = "Allow lists the methods; POST goes to the address of all uploads, the others to that of one."

    def __init__(self, method: str, *, allowed: str) -> None:
        super().__init__(f"{method[:32]} does nothing at this address")
        self.allowed = allowed


class MediaTypeUnsupported(LighterageError):
    """The body is not labelled as bytes of an upload."""

    code = "media_type_unsupported"
    hint = "Send the Content-Type that the detail names; the file's own type goes into the metadata."

    def __init__(self, expected: str) -> None:
        super().__init__(f"the body's Content-Type must be {expected}")


class ContentCodingUnsupported(LighterageError):
    """The bytes are compressed, and would be stored so without anybody knowing."""

    code = "content_coding_unsupported"
    hint = "Send the file's own bytes, without Content-Encoding."

    def __init__(self) -> None:
        super().__init__("only uploads without a Content-Encoding are taken")


class InteropVersionUnsupported(LighterageError):
    """The request speaks a draft of the IETF's resumable uploads that is not known here."""

    code = "interop_version_unsupported"
    hint = "Send 'Upload-Draft-Interop-Version: 10' or 6, or speak tus 1.0."

    def __init__(self) -> None:
        super().__init__("this interop version of resumable uploads is not spoken here")


class ChecksumAlgorithmUnsupported(LighterageError):
    """The checksum is made in a way that is not known here."""

    code = "checksum_algorithm_unsupported"
    hint = "OPTIONS lists the algorithms in Tus-Checksum-Algorithm."

    def __init__(self, algorithm: str) -> None:
        super().__init__(f"the checksum algorithm {algorithm[:32]!r} is not supported")


class RequestStopped(LighterageError):
    """A newer request for the same upload took over; what came until then is stored."""

    code = "request_stopped"
    hint = "Ask for the offset with HEAD and continue from there, with one request at a time."

    def __init__(self) -> None:
        super().__init__("a newer request took over this upload")


class RequestIdle(LighterageError):
    """Nothing came for too long; what came until then is stored."""

    code = "request_idle"
    hint = "Ask for the offset with HEAD and continue from there."

    def __init__(self) -> None:
        super().__init__("no byte of the body came for too long")


class BodyCut(LighterageError):
    """The body ended before its announced length; what came until then is stored."""

    code = "body_cut"
    hint = "Ask for the offset with HEAD and continue from there."

    def __init__(self) -> None:
        super().__init__("the body ended before its announced length")


class InternalFault(LighterageError):
    """A mistake of ours. The request's id finds it in the log."""

    code = "internal"
    hint = "Try again; if it stays so, give the request id to the server's operator."

    def __init__(self) -> None:
        super().__init__("something went wrong on the server")
