"""Seeded schedules: the real parts over a twin of Kafka and a store that fails, in an order that one seed decides.

`.venv/bin/python -m tests.schedules --seed N` tells one schedule step by step.
"""
