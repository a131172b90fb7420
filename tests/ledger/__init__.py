"""The ledger's promises as stories: given facts, when a message comes, then events and claims."""
