"""Work in several processes or on a cluster of machines; bars that say how far it is.

`pool.py` chooses the workers by `n_jobs=` and `backend=`. It may import the errors only; joblib,
tqdm, distributed, Ray and PySpark are imported here and when used.
"""
