"""What else one could have taken, each doing the same hop as well as it can, in an environment of their own."""
