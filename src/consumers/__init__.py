"""The carriers: long-running parts that bring messages in and events out, and every side effect."""
