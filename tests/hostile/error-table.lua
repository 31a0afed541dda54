-- An error object that is a table, with a table in it.
error({ { 'no text' } })
