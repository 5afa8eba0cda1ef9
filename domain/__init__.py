"""Nouns, their rules, their ports and errors. Standard library only; no IO."""
