"""What goes out with evidence and is run by those who do not have Makegood."""
