"""Names of OpenTelemetry's semantic conventions that we use, schema 1.44.0, and two of our own."""

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"

SYSTEM = "messaging.system"
OPERATION = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
PARTITION = "messaging.destination.partition.id"
GROUP = "messaging.consumer.group.name"
BATCH_COUNT = "messaging.batch.message_count"
OFFSET = "messaging.kafka.offset"
MESSAGE = "messaging.message.id"

DB_SYSTEM = "db.system.name"
DB_NAMESPACE = "db.namespace"
DB_SUMMARY = "db.query.summary"
DB_STATUS = "db.response.status_code"

ERROR = "error.type"
EVENT_TYPE = "cloudevents.event_type"

CASE = "case.ref"
"""Ours: by it a viewer finds the spans of a case."""
