"""Private prediction: texts drawn token by token, each token by an exponential mechanism over one bin's records."""
