"""How fast the program is, beside what else one could have written: `make bench`."""
