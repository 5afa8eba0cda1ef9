"""The roof: settings, assembly and commands. The only room that names adapters."""
