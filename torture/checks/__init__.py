"""The invariants I1 to I12, a file for each group. Each check is pure: evidence in, violations out."""
