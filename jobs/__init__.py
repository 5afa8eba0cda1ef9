"""Work off the request path: maintenance and queue workers."""
