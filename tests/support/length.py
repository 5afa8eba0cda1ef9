"""Whether tests that could go on for minutes do: `make test-long` sets LIGHTERAGE_TEST_LONG, `make test` does not."""

import os

IS_LONG = bool(os.environ.get("LIGHTERAGE_TEST_LONG"))
