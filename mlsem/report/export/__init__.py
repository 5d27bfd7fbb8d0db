"""Tables for papers: `grid` holds what is printed, a file each writes it in one language."""
