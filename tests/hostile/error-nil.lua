-- An error without anything.
error()
