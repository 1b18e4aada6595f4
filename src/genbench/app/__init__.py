"""The command line: builds everything the config names and runs one command."""
