"""Benchmarks of mlsem: speed, import time, scaling in the number of rows, random models."""
