"""The FHIR R4 face of a case for its clinic's system, read-only. See docs/fhir.md."""
