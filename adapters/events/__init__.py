"""The event bus port."""
