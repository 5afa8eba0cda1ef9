"""The commands for users and tenants."""

from typing import TYPE_CHECKING, Annotated

import typer

from domain.errors import InvalidValue
from lighterage.commands.shell import errors, fail, load_settings, with_product

if TYPE_CHECKING:
    from lighterage.assembly import Product

SEEDED = [f"john{number}" for number in range(1, 11)]
SEED_PASSWORD = "test"  # noqa: S105 (the one that everybody knows)


def user(
    name: Annotated[str, typer.Argument(help="User name or e-mail address.")],
    password: Annotated[str, typer.Argument(help="The password from now on.")],
    is_active: Annotated[int, typer.Argument(min=0, max=1, help="1: may log in. 0: may not, and tokens stop working.")],
) -> None:
    """Make a user with a tenant of their own, or change the password and flag of one who is there."""
    from auth.passwords import check_password

    settings = load_settings()
    try:
        check_password(password)
    except InvalidValue as error:
        errors.print(f"[yellow]warning:[/] {error.message}; accepted all the same from the command line")
    saved = with_product(
        settings,
        lambda product: product.services.accounts.save_user(name, password, is_active=bool(is_active)),
    )
    state = "active" if saved.user.is_active else "switched off"
    print(f"{'made' if saved.is_new else 'changed'} {saved.user.username} ({state}) in tenant {saved.tenant.slug}")


def seed(
    force: Annotated[bool, typer.Option("--force", help="Also where ENV is production.")] = False,
) -> None:
    """Make the users john1 to john10, password `test`, each with a tenant of their own: to try things, not to serve."""
    settings = load_settings()
    if settings.environment.lower() == "production" and not force:
        fail("ENV is production: these users have a password that everybody knows. --force makes them all the same.")
    made = with_product(settings, _seed)
    errors.print("[yellow]warning:[/] everybody knows the password of john1 to john10")
    print(f"made {made}, found {len(SEEDED) - made} of {len(SEEDED)} users")


async def _seed(product: "Product") -> int:
    accounts = product.services.accounts
    saved = [await accounts.ensure_user(name, SEED_PASSWORD, tenant_name=name) for name in SEEDED]
    return sum(one.is_new for one in saved)


def quota(
    slug: Annotated[str, typer.Argument(help="The tenant, by its name in addresses.")],
    size: Annotated[str, typer.Argument(metavar="BYTES", help="Bytes it may store, or `none` for no limit.")],
) -> None:
    """Set how much a tenant may store; what it has stored already stays."""
    settings = load_settings()
    if size != "none" and not (size.isascii() and size.isdigit() and int(size) < 2**63):
        fail(f"{size!r} is no number of bytes; `none` takes the limit away")
    bytes_max = None if size == "none" else int(size)
    with_product(settings, lambda product: product.services.tenants.set_quota(slug, stored_bytes_max=bytes_max))
    print(f"{slug} may store {'any number of' if size == 'none' else size} bytes")


def processing(
    slug: Annotated[str, typer.Argument(help="The tenant, by its name in addresses.")],
    rules: Annotated[str, typer.Argument(help="As LIGHTERAGE_PROCESSING has them, `*=scan!`; `none` for no others.")],
) -> None:
    """Set which jobs a tenant's files get besides those of all tenants, from the next upload on."""
    wanted = None if rules == "none" else rules
    with_product(load_settings(), lambda product: product.services.tenants.set_processing(slug, wanted))
    print(f"{slug}: {'nothing besides' if wanted is None else wanted}")
