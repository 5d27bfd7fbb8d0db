"""Work in several processes, or on a Dask cluster.

It may import the errors only; joblib, tqdm and distributed are imported here and when used.
"""
