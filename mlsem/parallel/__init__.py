"""Work in several processes, or on a Dask cluster; bars that say how far it is.

It may import the errors only; joblib, tqdm and distributed are imported here and when used.
"""
