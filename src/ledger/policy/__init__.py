"""How much: what a customer is owed, as a pure function of the facts known, the agreement and `now`.

Each module is a section of the policy page: `disruption` (§3), `billing_error` (§4), `unused_period` (§5),
`violation` (§6), `settlement` (§7), over `proration` and `tax` (§2). `known_facts` holds what is known, with
contradictions set aside (§1), and `assess` puts the sections together.
"""
