"""The FHIR R4 edge of the front door: resources in, the clinic's events out. See docs/fhir.md."""
