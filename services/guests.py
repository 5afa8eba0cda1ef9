"""Guests of a file request: who they are, and whose their uploads become."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from auth.tokens import TokenService
from domain.clock import Clock
from domain.errors import NotFound, PermissionDenied, TokenInvalid
from domain.file import Visibility
from domain.ids import SYSTEM, ShareLinkId
from domain.records import Increment, Records
from domain.share import SHARE_LINKS, ShareLink, ShareLinkKind
from domain.upload import Concatenation, NewUpload, Upload


class Guests:
    def __init__(self, *, records: Records, tokens: TokenService, clock: Clock) -> None:
        self._links = records.collection(SHARE_LINKS)
        self._tokens = tokens
        self._clock = clock

    async def link_of(self, token: str) -> tuple[ShareLink, datetime]:
        """
        Give the file request that a guest opened, and when the guest's token ends.

        A request whose time is over is given all the same: an upload that began in time may come to its end.

        Raises:
            TokenInvalid, TokenExpired: The token is not good, or the link was ended by its maker.
        """
        claims = self._tokens.verify_guest(token)
        try:
            link = await self._links.get(SYSTEM, claims.link_id)
        except NotFound as error:
            raise TokenInvalid("this link has ended") from error
        if link.kind is not ShareLinkKind.UPLOAD or link.revoked_at is not None:
            raise TokenInvalid("this link has ended")
        return link, claims.expires_at

    async def begin(self, link_id: ShareLinkId, new: NewUpload) -> tuple[ShareLink, NewUpload]:
        """
        Let a guest begin an upload; gives the request, and the upload with no more in it than a guest decides.

        Raises:
            LinkExpired, LinkExhausted: The request takes no more.
            PermissionDenied: The upload is to be made of parts. Each part would count as a use.
        """
        if new.file_id is not None:
            raise NotFound("file")
        if new.concatenation is not Concatenation.NONE:
            raise PermissionDenied("a guest uploads each file in one piece, without Upload-Concat")
        try:
            link = await self._links.get(SYSTEM, link_id)
        except NotFound as error:
            raise TokenInvalid("this link has ended") from error
        link.require_live(now=self._clock.now())
        link.require_unused()
        # What is the owner's to say is left to them. Keys of two guests may be equal by chance.
        own = replace(
            new,
            visibility=Visibility.PRIVATE,
            collection=None,
            resource=None,
            file_expires_at=None,
            idempotency_key=None,
        )
        return link, own

    async def require_unused(self, link: ShareLink) -> None:
        """Raise LinkExhausted where another guest took the last use a moment ago."""
        (await self._links.get(SYSTEM, link.id)).require_unused()

    async def give_back(self, upload: Upload) -> Sequence[Increment]:
        """Make the writes that undo the use that an upload counted, of which nothing becomes."""
        if upload.link_id is None:
            return ()
        found = await self._links.get_many(SYSTEM, [upload.link_id])
        return [write for link in found.values() for write in link.give_back(once=upload.id)]
