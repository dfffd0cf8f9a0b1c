"""
Bad input of every class, a little of it in `make test` and all of it by `make fuzz`.
"""
