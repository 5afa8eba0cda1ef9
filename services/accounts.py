"""The use cases of accounts: who is it, log in, stay logged in, log out; and users made from the command line."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from auth.passwords import PasswordHasher
from auth.tokens import TokenService, is_guest_token, is_upload_token
from domain.apikey import ApiKey, is_api_key
from domain.audit import AuditAction
from domain.clock import Clock
from domain.errors import (
    AccountDisabled,
    Conflict,
    EmailNotVerified,
    InvalidCredentials,
    NotFound,
    PermissionDenied,
    TokenExpired,
    TokenInvalid,
)
from domain.identity import IdentityProvider
from domain.ids import SYSTEM, ApiKeyId, SessionId, ShareLinkId, TenantId, UserId, is_id, new_session_id, new_user_id
from domain.page import Order, PageRequest, Position, equals
from domain.principal import ALL_SCOPES, Principal, Scope
from domain.records import Add, Records, Save
from domain.tenant import MEMBERSHIPS, TENANTS, Membership, Tenant, TenantRole, membership_id
from domain.user import SESSIONS, USERS, Session, User, parse_email, parse_username
from services.audit import AuditLog
from services.founding import confirmed, found_tenant
from services.guests import Guests
from services.identities import Identities
from services.keys import ApiKeyService
from services.throttling import Throttle

MEMBERSHIPS_MAX = 100
REFRESH_BYTES = 32
PRINCIPALS_KEPT = 10_000
NEVER = datetime.max.replace(tzinfo=UTC)
STARTS_AT_ONCE_MAX = 16  # processes of one server, each of which makes the administrator if it finds none


@dataclass(frozen=True, slots=True)
class SessionRules:
    """
    How long log-ins last.

    Attributes:
        recheck_seconds: For how long a token that was checked against the records is believed again.
        must_verify: Who signed up with an e-mail address must have confirmed it.
    """

    access_lifetime: timedelta = timedelta(minutes=15)
    refresh_lifetime: timedelta = timedelta(days=30)
    recheck_seconds: float = 1.0
    must_verify: bool = True


@dataclass(frozen=True, slots=True)
class IssuedSession:
    """
    What a log-in hands out. The refresh token is shown this once and kept only as a hash.

    `expires_in`: seconds until `expires_at`.
    """

    access_token: str
    expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime
    user: User
    tenant: Tenant | None
    principal: Principal
    expires_in: int


@dataclass(frozen=True, slots=True)
class _RefreshToken:
    """
    A refresh token as it was sent, `session.family.secret`.

    The family is the same in every token of a session and tells that it was once ours; the secret is new in each.
    """

    session_id: SessionId
    family: str
    secret: str

    def is_of(self, session: Session) -> bool:
        return hmac.compare_digest(session.family_hash, _hash(self.family))

    def is_newest_of(self, session: Session) -> bool:
        return hmac.compare_digest(session.secret_hash, _hash(self.secret))


@dataclass(frozen=True, slots=True)
class SavedUser:
    user: User
    tenant: Tenant
    is_new: bool


@dataclass(frozen=True, slots=True)
class ForeignLogIns:
    """Log-ins at another server: who checks its tokens, and who finds the user."""

    provider: IdentityProvider
    users: Identities


class AccountService:
    def __init__(
        self,
        *,
        records: Records,
        passwords: PasswordHasher,
        tokens: TokenService,
        clock: Clock,
        throttle: Throttle,
        audit: AuditLog,
        keys: ApiKeyService,
        guests: Guests,
        rules: SessionRules,
        identities: ForeignLogIns | None = None,
    ) -> None:
        self._records = records
        self._users = records.collection(USERS)
        self._sessions = records.collection(SESSIONS)
        self._memberships = records.collection(MEMBERSHIPS)
        self._tenants = records.collection(TENANTS)
        self._passwords = passwords
        self._tokens = tokens
        self._clock = clock
        self._throttle = throttle
        self._audit = audit
        self._keys = keys
        self._guests = guests
        self._identities = identities
        self._rules = rules
        self._checked: OrderedDict[str, tuple[Principal, float, datetime]] = OrderedDict()

    # ---- who is it

    async def authenticate(self, token: str) -> Principal:
        """
        Tell whose token this is.

        Raises:
            TokenInvalid, TokenExpired: It is not good, its session was ended, or its user was switched off.
        """
        known = self._checked.get(token)
        if known is not None:
            principal, checked_at, expires_at = known
            if self._clock.monotonic() - checked_at < self._rules.recheck_seconds:
                if self._clock.now() >= expires_at:
                    raise TokenExpired("the token has expired")
                return principal
        principal, expires_at = await self._check(token)
        self._checked[token] = (principal, self._clock.monotonic(), expires_at)
        self._checked.move_to_end(token)
        while len(self._checked) > PRINCIPALS_KEPT:
            self._checked.popitem(last=False)
        return principal

    async def _check(self, token: str) -> tuple[Principal, datetime]:
        if is_api_key(token):
            key = await self._keys.find_by_token(token)
            return await self._principal_of(key), key.expires_at or NEVER
        if is_upload_token(token):
            upload = self._tokens.verify_upload(token)
            role = await self._role(upload.user_id, upload.tenant_id)
            scopes = frozenset({Scope.FILES_WRITE})
            return (
                Principal(upload.user_id, upload.tenant_id, role, scopes, upload_id=upload.upload_id),
                upload.expires_at,
            )
        if is_guest_token(token):
            link, expires_at = await self._guests.link_of(token)
            role = await self._role(link.created_by, link.in_tenant)
            if role is None or not role.covers(TenantRole.MEMBER):
                raise TokenInvalid("who made this link may not upload any more")
            scopes = frozenset({Scope.FILES_WRITE})
            return Principal(tenant_id=link.in_tenant, scopes=scopes, link_id=ShareLinkId(link.id)), expires_at
        if self._identities is not None and self._identities.provider.knows(token):
            identity = await self._identities.provider.verify(token)
            return await self.principal_of(await self._identities.users.user_of(identity)), identity.expires_at
        claims = self._tokens.verify_access(token)
        session = await self._session(claims.session_id)
        if session is None or session.is_revoked or session.user_id != claims.user_id:
            raise TokenInvalid("the session has ended")
        role = await self._role(claims.user_id, claims.tenant_id)
        principal = Principal(claims.user_id, claims.tenant_id, role, claims.scopes, claims.session_id)
        return principal, claims.expires_at

    async def key_pair(self, access_key_id: str) -> tuple[Principal, str]:
        """
        Tell whose key signed a request (SigV4), and with which secret.

        The caller has shown nothing yet: check the signature before anything is done for them.

        Raises:
            TokenInvalid, TokenExpired: There is no such key, or it is not good any more.
        """
        key, secret = await self._keys.find_by_access_key_id(access_key_id)
        return await self._principal_of(key), secret

    async def _principal_of(self, key: ApiKey) -> Principal:
        role = await self._role(key.user_id, key.in_tenant)
        return Principal(key.user_id, key.in_tenant, role, frozenset(key.scopes), api_key_id=ApiKeyId(key.id))

    async def _role(self, user_id: UserId, tenant_id: TenantId | None) -> TenantRole | None:
        try:
            user = await self._users.get(SYSTEM, user_id)
            if not user.is_active:
                raise TokenInvalid("the account is switched off")
            if tenant_id is None:
                return None
            return (await self._memberships.get(SYSTEM, membership_id(user_id, tenant_id))).role
        except NotFound as error:
            raise TokenInvalid("the token's user or tenant is gone") from error

    # ---- log in and out

    async def log_in(self, identifier: str, password: str, *, client: str) -> IssuedSession:
        """
        Begin a session.

        Args:
            identifier: User name or e-mail address.
            client: Who asks, as far as it can be told (for limits).

        Raises:
            InvalidCredentials: In the same words and time, whichever of the two is wrong.
            AccountDisabled: Both are right, but the account is switched off.
            EmailNotVerified: Both are right, but the address was not confirmed.
            RateLimited: Too many wrong ones came before, or too much from this client.
        """
        user = await self.check_credentials(identifier, password, client=client)
        issued = await self.begin_session(user)
        await self._audit.record(AuditAction.LOGGED_IN, UserId(user.id), client=client)
        return issued

    async def check_credentials(self, identifier: str, password: str, *, client: str) -> User:
        """Give the user whose name and password these are; raises as `log_in` does."""
        await self._throttle.log_in(identifier, client=client)
        user = await self._find_user(identifier)
        matches = await self._passwords.verify(password, user.password_hash if user else None)
        if user is None or not matches:
            # Written for unknown names too, so that both take the same time.
            actor_id = UserId(user.id) if user is not None else None
            await self._audit.record(AuditAction.LOG_IN_FAILED, actor_id, client=client)
            raise InvalidCredentials
        if not user.is_active:
            await self._audit.record(AuditAction.LOG_IN_FAILED, UserId(user.id), client=client)
            raise AccountDisabled
        if self._rules.must_verify and user.email is not None and user.email_verified_at is None:
            raise EmailNotVerified
        await self._throttle.logged_in(identifier, client=client)
        return user

    async def principal_of(self, user: User) -> Principal:
        """Give a user who has shown who they are, in the tenant that they joined first, without a session."""
        memberships = await self.memberships_of(UserId(user.id))
        if not memberships:
            return Principal(UserId(user.id), scopes=ALL_SCOPES)
        joined, _ = memberships[0]
        return Principal(UserId(user.id), joined.member_of, joined.role, ALL_SCOPES)

    async def begin_session(self, user: User) -> IssuedSession:
        """Log in a user who has shown who they are, in the tenant that they joined first."""
        memberships = await self.memberships_of(UserId(user.id))
        return await self._begin(user, memberships[0][1] if memberships else None)

    async def refresh(self, refresh_token: str, *, client: str, tenant_id: TenantId | None = None) -> IssuedSession:
        """
        Swap a refresh token for a new pair, if wanted in another tenant of the user's.

        A token that comes a second time was stolen, or its thief's was: the whole session ends. Only who once held a
        token of the session can bring that about: a stranger who knows its id has not its family's secret.
        """
        await self._throttle.address(client)
        token = _parse_refresh(refresh_token)
        session = await self._session(token.session_id)
        if session is None or session.is_revoked or not token.is_of(session):
            raise TokenInvalid("the session has ended")
        if not token.is_newest_of(session):
            await self._revoke(session)
            await self._audit.record(AuditAction.REFRESH_TOKEN_REUSED, session.user_id, client=client)
            raise TokenInvalid("this refresh token was used before; the session has been ended")
        if self._clock.now() >= session.expires_at:
            raise TokenExpired("the session has expired; log in again")
        user = await self._users.get(SYSTEM, session.user_id)
        if not user.is_active:
            raise TokenInvalid("the account is switched off")
        tenant = await self._chosen_tenant(session, tenant_id)
        return await self._continue(session, token, user, tenant)

    async def log_out(self, refresh_token: str, *, everywhere: bool = False) -> None:
        """End the token's session, or every one of its user; a token that is no good is no fault."""
        token = _parse_refresh(refresh_token)
        session = await self._session(token.session_id)
        if session is None or not token.is_of(session):
            return
        if everywhere:
            await self.end_sessions(session.user_id)
        else:
            await self._revoke(session)
        await self._audit.record(AuditAction.LOGGED_OUT, session.user_id, detail="everywhere" if everywhere else None)

    async def end_own_session(self, principal: Principal, *, everywhere: bool = False) -> None:
        """
        End the log-in behind the caller's token, or every one of theirs.

        Raises:
            PermissionDenied: The token is of no log-in: an API key, say, which is revoked instead.
        """
        if principal.user_id is None or principal.session_id is None:
            raise PermissionDenied("only a log-in can be ended; an API key is revoked")
        session = await self._session(principal.session_id)
        if everywhere:
            await self.end_sessions(principal.user_id)
        elif session is not None:
            await self._revoke(session)
        detail = "everywhere" if everywhere else None
        await self._audit.record(AuditAction.LOGGED_OUT, principal.user_id, detail=detail)

    async def end_sessions(self, user_id: UserId) -> None:
        """End every log-in of a user, as after a change of password."""
        for session in await self._sessions_of(user_id):
            await self._revoke(session)
        self._checked.clear()

    async def _begin(self, user: User, tenant: Tenant | None) -> IssuedSession:
        now = self._clock.now()
        family, secret = secrets.token_urlsafe(REFRESH_BYTES), secrets.token_urlsafe(REFRESH_BYTES)
        session = Session(
            id=new_session_id(now),
            family_hash=_hash(family),
            user_id=UserId(user.id),
            in_tenant=TenantId(tenant.id) if tenant else None,
            secret_hash=_hash(secret),
            created_at=now,
            expires_at=now + self._rules.refresh_lifetime,
        )
        await self._sessions.add(session)
        return await self._issue(session, f"{session.id}.{family}.{secret}", user, tenant)

    async def _continue(
        self, session: Session, token: _RefreshToken, user: User, tenant: Tenant | None
    ) -> IssuedSession:
        secret = secrets.token_urlsafe(REFRESH_BYTES)
        renewed = replace(
            session,
            secret_hash=_hash(secret),
            in_tenant=TenantId(tenant.id) if tenant else None,
            expires_at=self._clock.now() + self._rules.refresh_lifetime,
        )
        try:
            await self._sessions.save(renewed, expected_revision=session.revision)
        except Conflict as error:
            raise TokenInvalid("this refresh token is being used by another request") from error
        return await self._issue(renewed, f"{session.id}.{token.family}.{secret}", user, tenant)

    async def _issue(self, session: Session, refresh_token: str, user: User, tenant: Tenant | None) -> IssuedSession:
        session_id, user_id = SessionId(session.id), UserId(user.id)
        access_token, expires_at = self._tokens.issue_access(
            user_id=user_id,
            tenant_id=session.in_tenant,
            session_id=session_id,
            scopes=ALL_SCOPES,
            lifetime=self._rules.access_lifetime,
        )
        role = await self._role(user_id, session.in_tenant)
        principal = Principal(user_id, session.in_tenant, role, ALL_SCOPES, session_id)
        return IssuedSession(
            access_token,
            expires_at,
            refresh_token,
            session.expires_at,
            user,
            tenant,
            principal,
            expires_in=int(self._rules.access_lifetime.total_seconds()),
        )

    async def _revoke(self, session: Session) -> None:
        while not session.is_revoked:
            try:
                await self._sessions.save(replace(session, is_revoked=True), expected_revision=session.revision)
            except Conflict:
                session = await self._sessions.get(SYSTEM, session.id)
                continue
            break
        self._checked.clear()

    async def _session(self, session_id: SessionId) -> Session | None:
        if not is_id(session_id, "session"):
            return None
        try:
            return await self._sessions.get(SYSTEM, session_id)
        except NotFound:
            return None

    async def _sessions_of(self, user_id: UserId) -> list[Session]:
        found: list[Session] = []
        after = None
        while True:
            page = await self._sessions.list(
                SYSTEM, [equals("user_id", user_id)], order=Order("expires_at"), page=PageRequest(100, after=after)
            )
            found += page.items
            if not page.has_next:
                return found
            after = Position(page.items[-1].expires_at, page.items[-1].id)

    async def _chosen_tenant(self, session: Session, tenant_id: TenantId | None) -> Tenant | None:
        wanted = tenant_id or session.in_tenant
        if wanted is None:
            return None
        try:
            await self._memberships.get(SYSTEM, membership_id(session.user_id, wanted))
        except NotFound as error:
            raise NotFound("tenant") from error
        return await self._tenants.get(SYSTEM, wanted)

    # ---- look

    async def viewer(self, principal: Principal) -> User | None:
        _refuse_capability(principal)
        if principal.user_id is None:
            return None
        return await self._users.get(SYSTEM, principal.user_id)

    async def get_users(self, principal: Principal, ids: Sequence[UserId]) -> dict[UserId, User]:
        """Give those of these users who share the caller's tenant."""
        _refuse_capability(principal)
        if principal.tenant_id is None:
            return {}
        wanted = {membership_id(user_id, principal.tenant_id): user_id for user_id in ids}
        shared = await self._memberships.get_many(SYSTEM, list(wanted))
        users = await self._users.get_many(SYSTEM, [wanted[key] for key in shared])
        return {UserId(user.id): user for user in users.values()}

    async def memberships(self, principal: Principal) -> list[tuple[Membership, Tenant]]:
        """Give the caller's own memberships, oldest first."""
        _refuse_capability(principal)
        return await self.memberships_of(principal.user_id) if principal.user_id is not None else []

    async def memberships_of(self, user_id: UserId) -> list[tuple[Membership, Tenant]]:
        page = await self._memberships.list(
            SYSTEM,
            [equals("user_id", user_id)],
            order=Order("joined_at"),
            page=PageRequest(limit=MEMBERSHIPS_MAX),
        )
        tenants = await self._tenants.get_many(SYSTEM, [membership.member_of for membership in page.items])
        return [(one, tenants[one.member_of]) for one in page.items if one.member_of in tenants]

    # ---- users made by whoever runs the server

    async def save_user(
        self, identifier: str, password: str, *, is_active: bool = True, tenant_name: str | None = None
    ) -> SavedUser:
        """
        Make a user with a tenant of their own, or change the password and flag of one who is there.

        A change ends every session of theirs: whoever knew the old password must not stay logged in.

        Args:
            identifier: User name, or e-mail address, which then counts as verified.
            tenant_name: What the new user's tenant is called; the user's name where None.
        """
        user = await self._find_user(identifier)
        hashed = await self._passwords.hash(password)
        if user is not None:
            changed, founding = await confirmed(
                self._records, replace(user, password_hash=hashed, is_active=is_active), now=self._clock.now()
            )
            entry = self._audit.entry(AuditAction.USER_SAVED, UserId(user.id), detail=_state(is_active))
            await self._records.write(Save(USERS, changed, user.revision), *founding, entry)
            await self.end_sessions(UserId(user.id))
            saved = replace(changed, revision=user.revision + 1)
            return SavedUser(saved, (await self.memberships_of(UserId(user.id)))[0][1], is_new=False)
        return await self._add_user(identifier, hashed, is_active=is_active, tenant_name=tenant_name)

    async def ensure_user(self, identifier: str, password: str, *, tenant_name: str) -> SavedUser:
        """Make the user if there is none, and see to it that the password is this one."""
        for _ in range(STARTS_AT_ONCE_MAX):
            user = await self._find_user(identifier)
            if user is not None and await self._passwords.verify(password, user.password_hash):
                return SavedUser(user, (await self.memberships_of(UserId(user.id)))[0][1], is_new=False)
            # Another process of this server may be starting at the same moment and make the same user.
            with suppress(Conflict):
                return await self.save_user(identifier, password, tenant_name=tenant_name)
        raise Conflict(f"the user {identifier} is being changed by others")

    async def has_user(self, identifier: str) -> bool:
        return await self._find_user(identifier) is not None

    async def _add_user(
        self, identifier: str, password_hash: str, *, is_active: bool, tenant_name: str | None
    ) -> SavedUser:
        now = self._clock.now()
        email = parse_email(identifier) if "@" in identifier else None
        username = email or parse_username(identifier)
        user_id = new_user_id(now)
        user = User(
            id=user_id,
            username=username,
            email=email,
            password_hash=password_hash,
            created_at=now,
            is_active=is_active,
            email_verified_at=now if email else None,
        )
        tenant, founding = await found_tenant(self._records, owner_id=user_id, name=tenant_name or username, now=now)
        entry = self._audit.entry(AuditAction.USER_SAVED, user_id, detail=_state(is_active))
        await self._records.write(Add(USERS, user), *founding, entry)
        return SavedUser(replace(user, revision=1), tenant, is_new=True)

    async def _find_user(self, identifier: str) -> User | None:
        text = identifier.strip()
        if "@" in text:
            found = await self._users.find(SYSTEM, email=text.lower())
            if found is not None:
                return found
        return await self._users.find(SYSTEM, username=text.casefold())


def _refuse_capability(principal: Principal) -> None:
    if principal.upload_id is not None:
        raise PermissionDenied("this token is good for one upload only")


def _state(is_active: bool) -> str:
    return "active" if is_active else "switched off"


def _parse_refresh(text: str) -> _RefreshToken:
    session_id, _, rest = text.partition(".")
    family, _, secret = rest.partition(".")
    return _RefreshToken(SessionId(session_id), family, secret)


def _hash(secret: str) -> str:
    # The secret has 256 random bits: a plain hash is enough, and costs a request nothing.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
