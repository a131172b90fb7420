"""The door: the command line, settings, logging and the demo. It puts the parts together."""
