"""Queues of jobs: in the records, or in SQS; what a lease means is the same on both."""
