"""Traces for OpenTelemetry: one span a request. The library is an extra, and loaded only where a collector is named."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lighterage.authentication import App, Message, Receive, Scope, Send
from lighterage.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

EXPORT_SECONDS = 5.0  # a collector that is away holds up the end of the process for so long at most


def open_tracer(endpoint: str, *, version: str) -> tuple["Tracer", Callable[[], None]]:
    """
    Give what makes spans, and what sends the last of them when the process ends.

    Args:
        endpoint: The collector's address, without the path that OTLP appends.

    Raises:
        SettingsError: The extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        message = "LIGHTERAGE_OTLP_ENDPOINT needs the extra: pip install 'lighterage[opentelemetry]'."
        raise SettingsError(message) from error

    resource = Resource.create({"service.name": "lighterage", "service.version": version})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=EXPORT_SECONDS)))
    return provider.get_tracer("lighterage", version), provider.shutdown


class Tracing:
    """
    A layer around the application: a span for each request, a child of the caller's where `traceparent` names one.

    A span has the request's id, the tenant and the status; no address, since these hold the secrets of links.
    """

    def __init__(self, app: App, tracer: "Tracer") -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._app = app
        self._tracer = tracer
        self._kind = SpanKind.SERVER
        self._fault = Status(StatusCode.ERROR)
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        context = self._propagator.extract(carrier)
        face = scope["path"].split("/", 2)[1]
        attributes: dict[str, Any] = {"http.request.method": scope["method"], "lighterage.face": face}
        with self._tracer.start_as_current_span(
            f"{scope['method']} /{face}", context, kind=self._kind, attributes=attributes
        ) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(self._fault)
                await send(message)

            await self._app(scope, receive, send_and_note)
            span.set_attribute("lighterage.request_id", scope.get("lighterage.request_id", ""))
            principal = scope.get("lighterage.principal")
            if principal is not None and principal.tenant_id is not None:
                span.set_attribute("lighterage.tenant_id", principal.tenant_id)
