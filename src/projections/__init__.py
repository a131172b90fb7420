"""The read side: what is recorded, folded into rows that answer questions. It may be thrown away and rebuilt.

`projection.py` is the one shape, `catalog.py` lists all that have it, `follower.py` keeps their rows up to date, and
each file answers from its own (`asking.py`). Nothing here decides how much is owed: that is recorded (design rule 3).
"""
