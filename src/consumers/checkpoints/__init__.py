"""Checkpoints: the Merkle trees grow right behind the events, and what is signed of them leaves our hands."""
