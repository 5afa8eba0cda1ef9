"""Letters: handed to an SMTP server, or laid into a folder where none is set."""
