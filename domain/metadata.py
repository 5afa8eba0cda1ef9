"""What a client declares of a file when it begins to upload it."""

from domain.content import parse_media_type
from domain.errors import InvalidValue
from domain.file import Visibility, parse_metadata, parse_name
from domain.job import parse_collection
from domain.upload import CreateUpload, NewUpload


def new_upload_of(command: CreateUpload) -> NewUpload:
    """
    Read what a client may say in `Upload-Metadata`: filename (or name), filetype (or type), visibility, collection,
    and whatever else.

    Raises:
        InvalidValue: A value is not text, too long, or there are too many.
    """
    entries: dict[str, str] = {}
    for key, value in command.metadata:
        try:
            entries[key] = value.decode()
        except UnicodeDecodeError as error:
            message = f"the metadata value of {key!r} is not UTF-8"
            raise InvalidValue(message, path=("metadata", key)) from error
    name = entries.get("filename") or entries.get("name") or "unnamed"
    declared = entries.get("filetype") or entries.get("type") or command.content_type
    digest = command.digest.hex() if command.digest is not None else entries.get("sha256")
    return NewUpload(
        name=parse_name(name),
        length=command.length,
        content_type=parse_media_type(declared),
        metadata=parse_metadata(list(entries.items())),
        visibility=_parse_visibility(entries.get("visibility", "private")),
        metadata_header=command.metadata_header,
        sha256=parse_sha256(digest) if digest is not None else None,
        fingerprint=entries.get("fingerprint"),
        concatenation=command.concatenation,
        members=command.members,
        concatenation_header=command.concatenation_header,
        collection=parse_collection(entries["collection"]) if "collection" in entries else None,
    )


def _parse_visibility(text: str) -> Visibility:
    try:
        return Visibility(text.strip().lower())
    except ValueError as error:
        known = ", ".join(each.value for each in Visibility)
        raise InvalidValue(f"a visibility is one of {known}", path=("metadata", "visibility")) from error


def parse_sha256(text: str) -> str:
    """Check a SHA-256 in hex, as clients declare it, and give it in lower case."""
    digest = text.strip().lower()
    if len(digest) != 64 or not all(character in "0123456789abcdef" for character in digest):
        raise InvalidValue("a SHA-256 has 64 hexadecimal digits", path=("sha256",))
    return digest
