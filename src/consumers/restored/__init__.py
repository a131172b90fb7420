"""What a ledger that was restored from a backup has lost."""

from consumers.restored.finding import carried_by, find_given_up
from consumers.restored.given_up import GivenUp, Lost

__all__ = ["GivenUp", "Lost", "carried_by", "find_given_up"]
