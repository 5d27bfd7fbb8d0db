"""The user's data frame: columns, missing values, clusters, files; the frames that go back.

It may import the model and the core. With `data/design` the only place that imports pandas.
"""
