"""What this machine does, each figure beside what it is to be compared with: `make bench`."""
