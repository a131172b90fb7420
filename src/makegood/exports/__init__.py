"""Exports: all rows of a list in one file, for spreadsheets, data tools and accounting systems."""
