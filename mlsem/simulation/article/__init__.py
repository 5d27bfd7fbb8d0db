"""Huang & Zhang (2025): their data, their study and their published table."""
