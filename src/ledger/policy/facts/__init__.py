"""What is known of an account: its facts, with those that contradict others left out (policy §1).

A file for each kind of fact: `registration`, `subscriptions`, `course`, `charges`, `outages`, `disputes`, `payments`,
`refunds`, `refund_acts`, `complaints`, `goodwill_verdicts`, `instruction_answers`. Each has the shape of `kind`: what
it holds, `learn`, `judge`, `waits_for`, then the questions that can be asked of it. `AccountFacts` puts them together
over what they share: `contradictions`, `waiting`, `touched`, and the things that several speak of: `charge`, `outage`
and `invoice`.

No kind unlearns a fact. Where `retractions` says that one counts as never said, everything is learnt anew.
"""

from ledger.policy.facts.account_facts import AccountFacts
from ledger.policy.facts.refunds import claim_of_refund, credit_of_refund
from ledger.policy.facts.subscriptions import SubscriptionFacts
from ledger.policy.facts.touched import EVERYTHING, Touched
from ledger.policy.facts.waiting import Waiting

__all__ = [
    "EVERYTHING",
    "AccountFacts",
    "SubscriptionFacts",
    "Touched",
    "Waiting",
    "claim_of_refund",
    "credit_of_refund",
]
