"""Laws with few examples, always the same ones, for mutation testing: `--hypothesis-profile=mutants`."""

from hypothesis import settings

settings.register_profile("mutants", deadline=None, max_examples=8, derandomize=True, database=None)
