"""What the data say of the variables of a cluster or a row, whatever engine found it: posterior
means and covariances, predictions of latent variables, distances and log-likelihoods.

May import `records`, `linalg` and `implied`.
"""
