"""Use cases: authorise, decide, put the ports in order. No request, no status code."""
