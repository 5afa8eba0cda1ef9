"""The S3 Select SQL dialect: text to typed tree. Knows no engine and no file."""
