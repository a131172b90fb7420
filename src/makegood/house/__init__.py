"""Settings, clock, stores and keys put together, and how it logs."""
