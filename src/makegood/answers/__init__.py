"""What is told, as data: answers that are more than one question of the read side. How they look, others know."""
