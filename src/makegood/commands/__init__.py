"""The commands (contract §3), by what they are about. They import what they need when they run: `--help` is quick."""
