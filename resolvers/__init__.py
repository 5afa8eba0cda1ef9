"""GraphQL's root fields and its HTTP, WebSocket and SSE endpoint."""
