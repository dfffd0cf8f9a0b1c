"""One file for each interaction."""
