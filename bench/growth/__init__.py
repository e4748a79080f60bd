"""What growth costs: the program beside itself when it has millions of rows behind it: `make bench-growth`."""
