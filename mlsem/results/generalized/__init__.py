"""Results of generalised linear models and estimating equations, and what is asked of them."""
