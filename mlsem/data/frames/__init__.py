"""Frames of other libraries, queries and files: what they are, and thin pandas frames of the
columns that are used.

It may import errors. narwhals and the engines are imported when data come that are no pandas frame.
"""
