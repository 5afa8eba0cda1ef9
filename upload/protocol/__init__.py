"""
What the two upload protocols say, as values in and values out: request heads become commands, outcomes become answers.

No socket, no store, no clock and no third party; nothing of `upload` above this package.
"""
