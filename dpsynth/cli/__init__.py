"""The command line: one file a group of commands, everything heavy imported inside the command that needs it."""
