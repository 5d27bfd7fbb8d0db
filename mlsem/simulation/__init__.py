"""Data sets for studies and examples."""
