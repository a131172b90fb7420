"""The HTTP API: thin handlers over the same questions and the same application as the command line (contract §3a)."""
