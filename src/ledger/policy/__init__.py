"""How much: what a customer is owed, as a pure function of the facts known, the agreement and `now`.

Each module is a section of the policy page: `disruption` (§3), `billing_error` (§4), `unused_period` (§5),
`violation` (§6), `settlement` (§7), `goodwill` (§8), over `proration` and `tax` (§2). `facts` holds what is known,
with contradictions left out (§1), `scope` says what has to be looked at again, `assess` puts the sections together,
and `rows` tells what they found.
"""
