"""Which edition of the code this is. Every answer tells it, so that one can see who answered."""

EDITION = "one"
