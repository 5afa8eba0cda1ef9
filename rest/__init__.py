"""The REST face: routes, problem details, health."""
