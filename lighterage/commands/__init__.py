"""The commands, a module a group; `lighterage/cli.py` names them all."""
