"""What grows, measured: the outbox under a held snapshot and with a backlog, dead rows, the log, a dead endpoint."""
