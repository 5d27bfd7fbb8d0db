"""The command `mlsem`: arguments, what it prints and the files that it writes.

It may import everything but the doors to other packages; nothing imports it.
"""
