"""The commands: what each takes and says. What they do is in the modules above, imported when a command runs."""
