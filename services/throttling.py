"""How often strangers may try: one place that names what is counted, for every face."""

from dataclasses import dataclass

from domain.rate import Rate, RateLimits


@dataclass(frozen=True, slots=True)
class Rates:
    """
    What is allowed; None where there is no limit.

    Attributes:
        log_in: Wrong log-ins with one name from one address. A right one lets the count begin anew. By name alone a
            stranger could lock somebody out.
        address: Log-ins, refreshes, sign-ups and requests for mail from one address together.
        mail: Letters to one mail address, whoever asks for them.
        creation: Uploads that one user begins.
    """

    log_in: Rate | None
    address: Rate | None
    mail: Rate | None
    creation: Rate | None = None


class Throttle:
    """
    Each method raises RateLimited when it is too often. A try is counted before anything is looked up or hashed, so
    that many at once are counted too, and known and unknown names alike.
    """

    def __init__(self, limits: RateLimits, rates: Rates) -> None:
        self._limits = limits
        self._rates = rates

    async def log_in(self, identifier: str, *, client: str) -> None:
        await self.address(client)
        if self._rates.log_in is not None:
            await self._limits.hit(_log_in_key(identifier, client), self._rates.log_in)

    async def logged_in(self, identifier: str, *, client: str) -> None:
        await self._limits.forget(_log_in_key(identifier, client))

    async def address(self, client: str) -> None:
        if self._rates.address is not None:
            await self._limits.hit(f"address {client}", self._rates.address)

    async def mail(self, address: str) -> None:
        if self._rates.mail is not None:
            await self._limits.hit(f"mail {address}", self._rates.mail)

    async def creation(self, user_id: str) -> None:
        if self._rates.creation is not None:
            await self._limits.hit(f"create {user_id}", self._rates.creation)


def _log_in_key(identifier: str, client: str) -> str:
    # As the look-up folds it: another spelling of a name must not be another count. Names are short; what is longer
    # is nobody's and need not be kept whole.
    return f"log-in {client} {identifier.strip().casefold()[:256]}"
