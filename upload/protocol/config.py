"""What the upload face offers: chosen once by the roof, the same for every request."""

from dataclasses import dataclass, field
from enum import Enum

from domain.upload import LENGTH_MAX
from upload.protocol.checksums import available_algorithms


class Extension(Enum):
    """The extensions of tus 1.0, in the order in which they are announced."""

    CREATION = "creation"
    CREATION_WITH_UPLOAD = "creation-with-upload"
    CREATION_DEFER_LENGTH = "creation-defer-length"
    EXPIRATION = "expiration"
    CHECKSUM = "checksum"
    CHECKSUM_TRAILER = "checksum-trailer"
    TERMINATION = "termination"
    CONCATENATION = "concatenation"
    CONCATENATION_UNFINISHED = "concatenation-unfinished"


_NEEDS = {
    Extension.CREATION_WITH_UPLOAD: Extension.CREATION,
    Extension.CREATION_DEFER_LENGTH: Extension.CREATION,
    Extension.CHECKSUM_TRAILER: Extension.CHECKSUM,
    Extension.CONCATENATION: Extension.CREATION,
    Extension.CONCATENATION_UNFINISHED: Extension.CONCATENATION,
}
"""What each is an extension of; in an order in which the one needed comes first."""


@dataclass(frozen=True, slots=True)
class Config:
    """
    Attributes:
        base_path: Path at which uploads are created, a slash at both ends.
        public_url: What clients reach this server's root as; Location is absolute then, else it is a path.
        extensions: Those of tus that are announced and taken. CHECKSUM_TRAILER needs a server that hands trailers on
            (uvicorn with httptools does, with h11 it does not).
        checksum_algorithms: Names in checksums.available_algorithms; sha1 must be one of them.
        cors_origins: Origins whose pages may use this face; `*`: every one. No cookie is ever looked at here.
        idle_timeout_seconds: A body of which nothing comes for so long is ended; what came is kept.
        rate_min_bytes_per_second: A body that stays slower for `idle_timeout_seconds` is ended likewise.
        linger_seconds: How long a refused client that is still sending is listened to before the connection closes.
        rufh_enabled: Speak the IETF draft beside tus.
        length_max: Bytes in the longest file; the endpoint takes it from its service.
        append_size_max: Most bytes that one request of the IETF draft may carry; None: any. Announced, for proxies
            that limit bodies; the requests of tus cannot be told.
    """

    base_path: str = "/files/"
    public_url: str | None = None
    extensions: frozenset[Extension] = frozenset(Extension)
    checksum_algorithms: tuple[str, ...] = field(default_factory=available_algorithms)
    cors_origins: frozenset[str] = frozenset({"*"})
    idle_timeout_seconds: float = 60.0
    rate_min_bytes_per_second: int = 0
    linger_seconds: float = 1.0
    rufh_enabled: bool = True
    length_max: int = LENGTH_MAX
    append_size_max: int | None = None

    def __post_init__(self) -> None:
        # tus 1.0: "if the Server does not offer the Creation extension, it MUST NOT offer the Creation With Upload
        # extension either"; the others are as useless without what they extend.
        offered = self.extensions
        for extension, needed in _NEEDS.items():
            if needed not in offered:
                offered -= {extension}
        object.__setattr__(self, "extensions", offered)

    def offers(self, extension: Extension) -> bool:
        return extension in self.extensions
