"""Clinics, workers and employers that behave like real ones. They know the contracts and the public doors only."""
