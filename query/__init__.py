"""The S3 Select dialect and its engine. Knows no file, tenant or HTTP."""
