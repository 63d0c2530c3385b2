"""One file a command (or a family of them). What is slow to import is imported where it is used."""
