"""Simple slopes of an interaction, and where they differ from 0 (Johnson & Neyman).

It may import what `inference/covariance` may, and `inference/covariance`; no other question.
Equations: `equation`, `regions`.
"""
