"""E-mails to customers: what they are about, the words in each language, how they are put together and sent."""
