"""Draws (to come)."""
def pattern_sampler(*a): raise NotImplementedError
