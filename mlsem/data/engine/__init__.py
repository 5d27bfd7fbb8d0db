"""Moments of rows that are where an engine has them: it groups and sums, and only a table of the
clusters comes to this process.

It may import `data/frames`, `data/table` and `data/moments`; narwhals is imported when used.
"""
