"""A clinic's existing caseload, read from a file and sent through the front door."""
