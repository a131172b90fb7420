"""What proves that nothing was changed: hashes of envelopes, verified without a database."""

from ledger.audit.leaf import leaf_hash

__all__ = ["leaf_hash"]
