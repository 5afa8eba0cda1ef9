"""People whom another server knows (OpenID Connect), and the port that checks its tokens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Identity:
    """
    What a token of that server says.

    Attributes:
        key: Issuer and subject together: what names the person for good.
        email: Only where that server has confirmed it.
    """

    key: str
    email: str | None
    name: str | None
    expires_at: datetime


class IdentityProvider(Protocol):
    def knows(self, token: str) -> bool:
        """Tell whether the token says that it is of that server; nothing is checked yet."""
        ...

    async def verify(self, token: str) -> Identity:
        """Raise TokenInvalid, TokenExpired, or StoreUnavailable where that server does not give its keys."""
        ...
