"""The lock port."""
