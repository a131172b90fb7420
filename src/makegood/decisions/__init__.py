"""What people decide about money, by whichever door they come: checked, and told as messages."""
