"""The records port: one file with SQLite (sqlite.py), or a MongoDB server (mongo.py). No rule of a noun lives here."""
