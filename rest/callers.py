"""Who sent a request, as the door left it in the scope."""

from starlette.requests import Request

from domain.errors import LighterageError, Unauthenticated
from domain.principal import GUEST, Principal


def principal_of(request: Request) -> Principal:
    """
    Give the caller, before anything of the body is read.

    Raises:
        LighterageError: No token came, or it is not good.
    """
    error: LighterageError | None = request.scope.get("lighterage.authentication_error")
    if error is not None:
        raise error
    principal: Principal = request.scope.get("lighterage.principal", GUEST)
    if principal.is_guest:
        raise Unauthenticated("this needs a log-in")
    return principal
