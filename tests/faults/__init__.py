"""Faults: makegood as real processes on a real Kafka and a real PostgreSQL, killed, frozen, cut off and deprived.

Whatever happens, once everything has come to rest the store holds what an undisturbed run of the same messages
holds, row by row. `make faults` runs many of each kind; `test_faults.py`, a part of `make test`, runs each kind once.
"""
