"""The tamper suite: seeds change what was signed: a store, a log, an evidence pack or a proof; all is found."""
