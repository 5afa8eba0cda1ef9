"""Counters of tries: in this process's memory."""
