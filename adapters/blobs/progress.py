"""What the S3 store notes in a writer's state: which parts and objects hold the durable bytes."""

from dataclasses import dataclass, replace
from typing import Any, Self

from domain.blob import BlobWriter


@dataclass(frozen=True, slots=True)
class Receipt:
    """A part that S3 has."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Tail:
    """Durable bytes behind the last part, too few for one: an object that is never written again."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Progress:
    """
    Attributes:
        id: Marks every object of this upload, so that we know our own.
        upload_id: Of the multipart upload; None while there is none.
        attempt: Marks what that upload makes, for two of them may come to have the same id.
        whole_etag: Set once the blob was stored in one piece under its final key.
        garbage: Objects that the recorded writer does not need any more; the next call removes them.
    """

    id: str
    upload_id: str | None = None
    attempt: str | None = None
    receipts: tuple[Receipt, ...] = ()
    tail: Tail | None = None
    whole_etag: str | None = None
    garbage: tuple[str, ...] = ()

    @classmethod
    def of(cls, writer: BlobWriter) -> Self:
        state = writer.state
        return cls(
            id=state["id"],
            upload_id=state.get("upload"),
            attempt=state.get("attempt"),
            receipts=tuple(Receipt(*receipt) for receipt in state.get("parts", ())),
            tail=Tail(*state["tail"]) if state.get("tail") else None,
            whole_etag=state.get("whole"),
            garbage=tuple(state.get("garbage", ())),
        )

    def to_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"id": self.id}
        if self.upload_id:
            state["upload"] = self.upload_id
            state["attempt"] = self.attempt
        if self.receipts:
            state["parts"] = [[receipt.number, receipt.size, receipt.etag] for receipt in self.receipts]
        if self.tail:
            state["tail"] = [self.tail.key, self.tail.size]
        if self.whole_etag:
            state["whole"] = self.whole_etag
        if self.garbage:
            state["garbage"] = list(self.garbage)
        return state

    @property
    def mark(self) -> str:
        """What tells the object that these parts, or this tail, become from one that an earlier try made."""
        if self.receipts and self.attempt:
            return self.attempt
        return self.tail.key.rpartition("/")[2] if self.tail else "empty"

    @property
    def parts_size(self) -> int:
        return sum(receipt.size for receipt in self.receipts)

    @property
    def last_number(self) -> int:
        return self.receipts[-1].number if self.receipts else 0

    def advance(self, writer: BlobWriter) -> BlobWriter:
        """Give the writer that this is the state of."""
        size = self.parts_size + (self.tail.size if self.tail else 0)
        if self.whole_etag:
            assert writer.length is not None
            size = writer.length
        return replace(writer, size_bytes=size, state=self.to_state())
