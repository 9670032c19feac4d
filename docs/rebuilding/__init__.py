"""What `docs/rebuild.py` puts into the documentation."""
