"""Records on a MongoDB server."""

from adapters.records.mongo.records import MongoRecords

__all__ = ["MongoRecords"]
