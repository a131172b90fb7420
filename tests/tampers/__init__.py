"""The tamper suite: seeds change what was signed, in a store, in an exported log or in a proof, and all is found."""
