"""Blob stores: a local directory, and S3. Nothing outside this folder knows of parts, staging files or tails."""
