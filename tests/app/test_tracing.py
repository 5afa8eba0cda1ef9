"""Traces: one span a request, sent to a collector."""

import gzip
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.product import http_client, open_world

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector():
    """Keeps what is sent to it."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


@pytest.mark.slow
async def test_a_request_is_a_span_of_its_callers_trace(tmp_path, collector):
    """It has the request's id, tenant and status, and no address: that may hold a secret."""
    endpoint, bodies = collector
    async with open_world(tmp_path, otlp_endpoint=endpoint) as world, http_client(world.app) as http:
        token = {"Authorization": f"Bearer {world.anna.session.access_token}", "traceparent": PARENT}
        answer = await http.get("/api/v1/files/unknown/content?secret=1", headers=token)

    (span,) = ExportTraceServiceRequest.FromString(bodies[0]).resource_spans[0].scope_spans[0].spans
    attributes = {item.key: item.value.string_value or item.value.int_value for item in span.attributes}
    assert PARENT.split("-")[1] == span.trace_id.hex()
    assert "GET /api" == span.name
    assert {
        "http.request.method": "GET",
        "lighterage.face": "api",
        "http.response.status_code": 404,
        "lighterage.request_id": answer.headers["x-request-id"],
        "lighterage.tenant_id": world.anna.tenant_id,
    } == attributes
