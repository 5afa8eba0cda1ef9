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
    principal = caller_of(request)
    if principal.is_guest:
        raise Unauthenticated("this needs a log-in")
    return principal


def caller_of(request: Request) -> Principal:
    """Give the caller, a guest too; a token that is not good is a fault all the same."""
    error: LighterageError | None = request.scope.get("lighterage.authentication_error")
    if error is not None:
        raise error
    principal: Principal = request.scope.get("lighterage.principal", GUEST)
    return principal


def client_of(request: Request) -> str:
    """Give the address that is asking, as far as it can be told."""
    return request.client.host if request.client is not None else "unknown"
