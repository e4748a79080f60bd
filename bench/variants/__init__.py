"""One hop (records in, rows and records out), written in the ways that one could; each file is a process of its own."""
