"""Tries to break the promise that nothing is lost, doubled or put out of order, and tells what it found."""
