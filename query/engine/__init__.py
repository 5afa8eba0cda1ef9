"""Worker processes around the engine. The only place that knows which engine it is."""
