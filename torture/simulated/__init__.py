"""The in-memory rooms of the simulation: an event loop, a database and a broker whose every step a seed chooses."""
