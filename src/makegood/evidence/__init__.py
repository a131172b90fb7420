"""Evidence packs, and what verifies them without any part of Makegood."""
