"""The read port: all that reads the ledger's own tables for answers, projections and carriers, by kind of table."""
