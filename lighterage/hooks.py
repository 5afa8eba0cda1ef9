"""How webhooks are put together: who manages them, and who delivers."""

from dataclasses import dataclass

from adapters.web.posting import WebhookCourier
from auth.sealing import Sealer
from domain.clock import Clock
from domain.records import Records
from domain.webhook import Courier
from lighterage.proxies import parse_networks
from lighterage.settings import Settings
from services.audit import AuditLog
from services.delivering import WebhookDelivery
from services.webhooks import WebhookService


@dataclass(frozen=True, slots=True)
class Hooks:
    service: WebhookService
    delivery: WebhookDelivery


def open_hooks(
    settings: Settings, records: Records, sealer: Sealer, audit: AuditLog, clock: Clock, courier: Courier | None
) -> Hooks:
    allowed = parse_networks(settings.webhook_networks)
    courier = courier or WebhookCourier(allowed=allowed)
    service = WebhookService(records=records, sealer=sealer, audit=audit, clock=clock, allow_http=bool(allowed))
    return Hooks(service, WebhookDelivery(records=records, sealer=sealer, courier=courier, clock=clock))
