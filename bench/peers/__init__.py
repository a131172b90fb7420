"""Peers: other people's systems, measured beside ours on the same machine (`make bench-peers`)."""
