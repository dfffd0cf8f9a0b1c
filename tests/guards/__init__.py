"""What happens to the tests when a guard is taken out of the program."""
