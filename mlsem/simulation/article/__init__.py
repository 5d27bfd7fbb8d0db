"""Huang & Zhang (2025): their data, their study and their published table.

It may import what the simulation may. Their model is in `data`, its equation in `study`.
"""
