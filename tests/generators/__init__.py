"""The tools that others read our documents with: linters, and generators of clients and types (`make generators`)."""
