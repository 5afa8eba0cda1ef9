"""
The use cases of whoever has no log-in yet, or lost it: sign-up, confirmation of the e-mail address, a new password.

Whether an address has an account is told to its mailbox and to nobody else: the answers and the work are the same.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from auth.passwords import PasswordHasher, check_password
from domain.audit import AuditAction
from domain.clock import Clock
from domain.errors import Conflict, InvalidValue, SignUpDisabled
from domain.ids import SYSTEM, UserId, new_user_id
from domain.records import Add, Records, Save, Write
from domain.tenant import Limits
from domain.ticket import Purpose
from domain.user import USERS, User, parse_email, parse_name
from services import letters
from services.accounts import AccountService, IssuedSession
from services.audit import AuditLog
from services.founding import DEFAULT_LIMITS, confirmed, found_tenant
from services.mailing import Postman
from services.members import MemberService
from services.throttling import Throttle
from services.tickets import Tickets


@dataclass(frozen=True, slots=True)
class RegistrationRules:
    """
    Attributes:
        is_open: Strangers may sign up.
        must_verify: A log-in needs a confirmed e-mail address.
        limits: Of each tenant that a sign-up makes.
        public_url: What links in letters begin with.
    """

    is_open: bool = True
    must_verify: bool = True
    public_url: str = ""
    limits: Limits = DEFAULT_LIMITS
    verify_lifetime: timedelta = timedelta(hours=24)
    reset_lifetime: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What somebody signs up with."""

    email: str
    password: str
    name: str | None = None
    tenant_name: str | None = None
    invite_token: str | None = None


@dataclass(frozen=True, slots=True)
class SignedUp:
    """`user` is None where a letter was sent: then it must not be told whether there is a new one."""

    user: User | None
    verification_sent: bool


class RegistrationService:
    def __init__(
        self,
        *,
        records: Records,
        accounts: AccountService,
        passwords: PasswordHasher,
        tickets: Tickets,
        members: MemberService,
        postman: Postman,
        audit: AuditLog,
        throttle: Throttle,
        clock: Clock,
        rules: RegistrationRules,
    ) -> None:
        self._records = records
        self._users = records.collection(USERS)
        self._tickets = tickets
        self._members = members
        self._accounts = accounts
        self._passwords = passwords
        self._postman = postman
        self._audit = audit
        self._throttle = throttle
        self._clock = clock
        self._rules = rules

    @property
    def is_open(self) -> bool:
        return self._rules.is_open

    # ---- sign-up

    async def sign_up(self, new: NewAccount, *, client: str) -> SignedUp:
        """
        Make an account, with a tenant of its own or by invitation into another's.

        Where the address must be confirmed, the answer is the same whether or not it has an account already.

        Raises:
            SignUpDisabled: Not on this server.
            InvalidValue: The address, a name or the password is not taken; without confirmation, also an address that
                has an account.
            RateLimited: Too many from this client, or letters to this address.
        """
        if not self._rules.is_open and new.invite_token is None:
            raise SignUpDisabled
        await self._throttle.address(client)
        email = parse_email(new.email)
        check_password(new.password)
        name = parse_name(new.name, field="name") if new.name is not None else None
        wish = parse_name(new.tenant_name, field="tenant_name") if new.tenant_name is not None else name
        if new.invite_token is None:
            await self._throttle.mail(email)
        hashed = await self._passwords.hash(new.password)
        now = self._clock.now()
        user = User(
            id=new_user_id(now),
            username=email,
            email=email,
            password_hash=hashed,
            created_at=now,
            name=name,
            tenant_wish=wish or email.partition("@")[0],
        )
        if new.invite_token is not None:
            return SignedUp(await self._sign_up_invited(user, new.invite_token, client), verification_sent=False)
        known = await self._users.find(SYSTEM, email=email)
        if self._rules.must_verify:
            await self._sign_up_by_letter(user, known, client)
            return SignedUp(None, verification_sent=True)
        return SignedUp(await self._sign_up_at_once(user, known, client), verification_sent=False)

    async def _sign_up_invited(self, user: User, token: str, client: str) -> User:
        """The invitation was read in this mailbox, which is all that a confirmation would show."""
        assert user.email is not None
        ticket = await self._members.find_invitation(token, user.email)
        known = await self._users.find(SYSTEM, email=user.email)
        if known is not None and known.email_verified_at is not None:
            message = "this e-mail address has an account; log in and accept the invitation"
            raise InvalidValue(message, path=("email",), reason="taken")
        user = replace(user, email_verified_at=self._clock.now(), tenant_wish=None)
        first: Write = Add(USERS, user)
        if known is not None:
            user = replace(user, id=known.id, created_at=known.created_at)
            first = Save(USERS, user, known.revision)
        entry = self._audit.entry(AuditAction.SIGNED_UP, UserId(user.id), client=client, detail="by invitation")
        await self._tickets.redeem(ticket, first, *self._members.joining(ticket, UserId(user.id), client=client), entry)
        return user

    async def _sign_up_by_letter(self, user: User, known: User | None, client: str) -> None:
        assert user.email is not None
        if known is not None and known.email_verified_at is not None:
            await self._audit.record(AuditAction.SIGNED_UP, UserId(known.id), client=client, detail="address taken")
            self._postman.post(letters.address_taken(user.email))
            return
        if known is None:
            first: Write = Add(USERS, user)
        else:
            # Nobody has shown that the address is theirs, so the newest password counts; letters for an older one are
            # void (`Ticket.binding`), or whoever was first could have the owner confirm a stranger's password.
            user = replace(known, password_hash=user.password_hash, name=user.name, tenant_wish=user.tenant_wish)
            first = Save(USERS, user, known.revision)
        entry = self._audit.entry(AuditAction.SIGNED_UP, UserId(user.id), client=client)
        try:
            await self._records.write(first, entry)
        except Conflict:
            # Two sign-ups of one address at once: the other one's letter is on its way.
            return
        await self._send_verification(user)

    async def _sign_up_at_once(self, user: User, known: User | None, client: str) -> User:
        taken = InvalidValue("this e-mail address has an account", path=("email",), reason="taken")
        if known is not None:
            raise taken
        assert user.tenant_wish is not None
        now = self._clock.now()
        _, founding = await found_tenant(
            self._records, owner_id=UserId(user.id), name=user.tenant_wish, now=now, limits=self._rules.limits
        )
        user = replace(user, tenant_wish=None)
        entry = self._audit.entry(AuditAction.SIGNED_UP, UserId(user.id), client=client)
        try:
            await self._records.write(Add(USERS, user), *founding, entry)
        except Conflict as error:
            raise taken from error
        return replace(user, revision=1)

    # ---- confirmation

    async def resend_verification(self, email: str, *, client: str) -> None:
        """Send the letter again, if there is an account that waits for it; nobody is told whether there is."""
        await self._throttle.address(client)
        email = parse_email(email)
        await self._throttle.mail(email)
        user = await self._users.find(SYSTEM, email=email)
        if user is not None and user.is_active and user.email_verified_at is None:
            await self._send_verification(user)

    async def verify_email(self, token: str, *, client: str) -> User:
        """
        Redeem what a letter brought: the address is its reader's, and an account that had none gets its tenant.

        Raises:
            TokenInvalid, TokenExpired: It was used before, is too old, or is none.
        """
        await self._throttle.address(client)
        ticket, user = await self._tickets.find_with_user(token, Purpose.VERIFY_EMAIL)
        verified, founding = await confirmed(self._records, user, now=self._clock.now(), limits=self._rules.limits)
        # The user last: where the database has no transactions, a cut leaves a ticket that is used up and a user who
        # asks for another letter.
        await self._tickets.redeem(
            ticket,
            *founding,
            self._audit.entry(AuditAction.EMAIL_VERIFIED, UserId(user.id), client=client),
            Save(USERS, verified, user.revision),
        )
        return replace(verified, revision=user.revision + 1)

    async def _send_verification(self, user: User) -> None:
        lifetime = self._rules.verify_lifetime
        token = await self._tickets.issue(user, Purpose.VERIFY_EMAIL, lifetime)
        assert user.email is not None
        link = f"{self._rules.public_url}/account/verify?token={token}"
        self._postman.post(letters.verification(user.email, link=link, token=token, lifetime=lifetime))

    # ---- a new password

    async def request_password_reset(self, email: str, *, client: str) -> None:
        """Send a letter with which a new password can be set; nobody is told whether there is such an account."""
        await self._throttle.address(client)
        email = parse_email(email)
        await self._throttle.mail(email)
        user = await self._users.find(SYSTEM, email=email)
        actor_id = UserId(user.id) if user is not None else None
        await self._audit.record(AuditAction.PASSWORD_RESET_REQUESTED, actor_id, client=client)
        if user is None or not user.is_active:
            return
        lifetime = self._rules.reset_lifetime
        token = await self._tickets.issue(user, Purpose.RESET_PASSWORD, lifetime)
        link = f"{self._rules.public_url}/account/reset?token={token}"
        self._postman.post(letters.password_reset(email, link=link, token=token, lifetime=lifetime))

    async def reset_password(self, token: str, new_password: str, *, client: str) -> IssuedSession:
        """
        Redeem what a letter brought: the password is new, every session ends, and a new one begins.

        Who reads the mailbox has thereby shown that the address is theirs.

        Raises:
            TokenInvalid, TokenExpired: It was used before, is too old, or is none.
            InvalidValue: The password is not taken; the token stays good.
        """
        await self._throttle.address(client)
        check_password(new_password, field="new_password")
        ticket, user = await self._tickets.find_with_user(token, Purpose.RESET_PASSWORD)
        hashed = await self._passwords.hash(new_password)
        changed, founding = await confirmed(self._records, replace(user, password_hash=hashed), now=self._clock.now())
        await self._tickets.redeem(
            ticket,
            *founding,
            self._audit.entry(AuditAction.PASSWORD_CHANGED, UserId(user.id), client=client),
            Save(USERS, changed, user.revision),
        )
        await self._accounts.end_sessions(UserId(user.id))
        self._postman.post(letters.password_changed(ticket.email))
        return await self._accounts.begin_session(replace(changed, revision=user.revision + 1))
