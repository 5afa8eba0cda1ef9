"""
The use cases of the directory: who is in it, and one more with a picture.

Where it is open, everybody may read and add, and there is one directory. Where it is not, each tenant has its own:
members read it, admins add to it.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from uuid import uuid4

from auth.policy import Action, require
from domain.blob import BlobKey, BlobStore
from domain.clock import Clock
from domain.errors import Conflict, ContentTypeNotAllowed, ImagesUnavailable, InvalidValue, NotFound
from domain.ids import SYSTEM
from domain.picture import Picture, PictureRefused, Pictures
from domain.principal import Principal
from domain.profile import AVATAR_EDGE_MAX, Directory, Profile
from domain.user import parse_email, parse_name

_CHUNK_BYTES = 256 * 1024
_AVATAR_NAME = re.compile(r"[0-9a-f]{32}\.webp", re.ASCII)
_FOLDER = "avatars/"  # so that a bucket's policy can let the world read these, and nothing else


class DirectoryService:
    """
    Args:
        is_open: Everybody may read and add.
        avatar_url: What an avatar's address is made of: `{key}` and `{name}` are filled in.
        pictures: None where there is nothing to read pictures with.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        blobs: BlobStore,
        pictures: Pictures | None,
        clock: Clock,
        is_open: bool,
        avatar_url: str,
    ) -> None:
        self._directory = directory
        self._blobs = blobs
        self._pictures = pictures
        self._clock = clock
        self._is_open = is_open
        self._avatar_url = avatar_url

    async def list_profiles(self, principal: Principal) -> Sequence[Profile]:
        return await self._directory.list_all(self._tenant_of(principal, Action.READ_TENANT))

    async def read_picture(self, principal: Principal, chunks: AsyncGenerator[bytes, None]) -> Picture:
        """
        Make an avatar of a picture: upright, small, and without what the camera wrote into it.

        Raises:
            ContentTypeNotAllowed: It is no picture, or one with too many pixels.
        """
        self._tenant_of(principal, Action.MANAGE_MEMBERS)
        if self._pictures is None:
            raise ImagesUnavailable
        try:
            async with aclosing(chunks):
                return await self._pictures.shrink(chunks, edge=AVATAR_EDGE_MAX)
        except PictureRefused as error:
            raise ContentTypeNotAllowed(f"the avatar is not taken: {error}") from error

    async def add(self, principal: Principal, *, name: str, email: str, picture: Picture) -> Profile:
        """
        Put somebody into the directory.

        Raises:
            InvalidValue: A name or address that is none.
            Conflict: The address has a profile already.
        """
        tenant_id = self._tenant_of(principal, Action.MANAGE_MEMBERS)
        name, email = parse_name(name, field="name"), parse_email(email)
        if "@" not in email or "." not in email.rpartition("@")[2]:
            raise InvalidValue("this is not an e-mail address", path=("email",))
        stored = f"{uuid4().hex}.webp"
        key = BlobKey(_FOLDER + stored)
        await self._store(key, picture)
        profile = Profile(name, email, self._avatar_url.replace("{key}", key).replace("{name}", stored))
        try:
            await self._directory.add(tenant_id, profile, now=self._clock.now())
        except Conflict:
            await self._blobs.delete(key)
            raise
        return profile

    def open_avatar(self, name: str) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of an avatar, which is for everybody; NotFound at the first step where there is none."""
        if not _AVATAR_NAME.fullmatch(name):
            raise NotFound("avatar")
        return self._blobs.open(BlobKey(_FOLDER + name))

    async def _store(self, key: BlobKey, picture: Picture) -> None:
        async def chunks() -> AsyncGenerator[bytes, None]:
            for start in range(0, len(picture.content), _CHUNK_BYTES):
                yield picture.content[start : start + _CHUNK_BYTES]

        length = len(picture.content)
        writer = await self._blobs.create(key, content_type=picture.content_type, length=length)
        await self._blobs.complete(await self._blobs.append(writer, chunks(), expected_bytes=length))

    def _tenant_of(self, principal: Principal, action: Action) -> str:
        return SYSTEM if self._is_open else require(principal, action)
