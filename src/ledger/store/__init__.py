"""How the ledger is kept: SQLite or PostgreSQL, one schema, one transaction for a batch and all it brings."""
