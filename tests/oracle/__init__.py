"""A second, slow and plain implementation of the policy page, for tests to compare the real one with.

It shares no line with `src/`: where the two differ, one of them has misread the page.
"""
