"""What people can do, by whichever door: what they say, what it may name, and the messages that it becomes.

Nothing here knows of requests, forms or commands. What is refused is told as data, which each door words as its own.
"""
