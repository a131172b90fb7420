"""The policy page, sentence by sentence: tables that can be checked by hand, and laws that hold for any history."""
