"""What auditors are told, as data."""
