/* table.h - private to lua-bindings/: what the files of the table library share. */
#pragma once

#include <lua.h>

#define TABLE_READ 1u
#define TABLE_WRITE 2u
#define TABLE_LENGTH 4u

/* Raise unless the argument is a table, or has metamethods for all of these uses. */
void l_check_table(lua_State *L, int arg, unsigned uses);
/* The same and its length. */
lua_Integer l_table_length(lua_State *L, int arg, unsigned uses);

/* Push elements first to last of the list at index 1; returns their number. */
int l_table_unpack(lua_State *L, lua_Integer first, lua_Integer last);

int l_table_sort(lua_State *L); /* lib_sort.c */
