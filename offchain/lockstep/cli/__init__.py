"""The command line: how people deploy, post tasks, train, verify, dispute and look. See ``docs/CLI.md``."""
