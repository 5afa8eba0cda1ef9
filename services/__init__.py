"""Use cases: authorise, decide, put the ports in order. No request, no status code."""

from dataclasses import dataclass

from services.accounts import AccountService
from services.audit import AuditLog
from services.directory import DirectoryService
from services.files import FileService
from services.keys import ApiKeyService
from services.manifests import ManifestService
from services.members import MemberService
from services.posting import PostingService
from services.processing import ProcessingService
from services.queries import QueryService
from services.receipts import ReceiptService
from services.registration import RegistrationService
from services.saving import SavingService
from services.shares import ShareService
from services.signing import SigningService
from services.tenants import TenantService
from services.uploads import UploadService
from services.versions import VersionService
from services.webhooks import WebhookService


@dataclass(frozen=True, slots=True)
class Services:
    """Every use case, for faces that need several."""

    accounts: AccountService
    audit: AuditLog
    keys: ApiKeyService
    members: MemberService
    registration: RegistrationService
    tenants: TenantService
    files: FileService
    posting: PostingService
    directory: DirectoryService
    manifests: ManifestService
    uploads: UploadService
    queries: QueryService
    shares: ShareService
    versions: VersionService
    processing: ProcessingService
    receipts: ReceiptService
    webhooks: WebhookService
    saving: SavingService
    signing: SigningService
