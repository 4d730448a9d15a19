/*
** What the server that hosts this Lua adds to it (redlet): functions that raise
** errors where the script called them, calls that come back with where an error
** was raised, and variables that cannot be changed. It also stands in for the
** libraries that are left out.
*/

#include <limits.h>
#include <time.h>

#define lhost_c
#define LUA_LIB

#include "lua.h"

#include "lauxlib.h"
#include "lualib.h"


/*
** What a script may make Lua keep beside what is there before.
*/
#define MEMORYLIMIT	((size_t)64 * 1024 * 1024)

/*
** Who leaves more than this behind cleans up, and not the scripts that follow.
*/
#define MOSTLEFT	(MEMORYLIMIT / 4)

/*
** A call of the host takes as long as so many instructions, or longer.
*/
#define CALLSTEPS	100
#define BYTESPERSTEP	16

/*
** The host counts arguments from the end, and beyond 10000 there are other things.
*/
#define MOSTARGUMENTS	9000

/*
** A host's function cannot raise values of Lua itself. It returns one of these
** marks, which no script can have, and what goes with it.
*/
#define RAISE_VALUE	((void *)1)	/* value */
#define RAISE_TEXT	((void *)2)	/* text; gets the position in front */
#define RAISE_ARGUMENT	((void *)3)	/* index, text */


static int raise (lua_State *L, void *mark) {
  lua_settop(L, 3);  /* whatever the host has returned */
  if (mark == RAISE_ARGUMENT)
    return luaL_argerror(L, lua_tointeger(L, 2), lua_tostring(L, 3));
  if (mark == RAISE_TEXT) {
    luaL_where(L, 1);
    lua_insert(L, 2);
    lua_settop(L, 3);  /* mark, position, text */
    lua_concat(L, 2);
  }
  else
    lua_settop(L, 2);
  return lua_error(L);
}


/*
** How long a call takes that does something with every byte of its arguments.
*/
static int callsteps (lua_State *L) {
  size_t bytes = 0;
  int i;
  for (i = lua_gettop(L); i > 0; i--)
    if (lua_type(L, i) == LUA_TSTRING) bytes += lua_objlen(L, i);
  bytes /= BYTESPERSTEP;
  return (bytes < INT_MAX - CALLSTEPS) ? CALLSTEPS + (int)bytes : INT_MAX;
}


/*
** What the host brings counts like what the script makes, as soon as it is there.
*/
static void makeroom (lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT, 0);
  lua_charge(L, INT_MAX);
  if (lua_ismemoryfull(L))
    lua_memoryerror(L);
}


/*
** Calls the host's function, which is its upvalue.
*/
static int callhost (lua_State *L) {
  size_t limit;
  if (lua_gettop(L) > MOSTARGUMENTS)
    return luaL_error(L, "too many arguments");
  limit = lua_setmemorylimit(L, 0);
  lua_charge(L, callsteps(L));
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  lua_setmemorylimit(L, limit);
  if (lua_ismemoryfull(L))
    makeroom(L);
  if (lua_type(L, 1) == LUA_TLIGHTUSERDATA) {
    void *mark = lua_touserdata(L, 1);
    if (mark >= RAISE_VALUE && mark <= RAISE_ARGUMENT)
      return raise(L, mark);
  }
  return lua_gettop(L);
}


/*
** Calls the host's function for commands, which gets the number of its arguments
** as the first of them.
*/
static int callcommand (lua_State *L) {
  lua_pushinteger(L, lua_gettop(L));
  lua_insert(L, 1);
  return callhost(L);
}


/*
** The same, and the result is raised if it is an error reply.
*/
static int callreply (lua_State *L) {
  callcommand(L);
  if (lua_istable(L, 1)) {
    lua_pushliteral(L, "err");
    lua_rawget(L, 1);
    if (!lua_isnil(L, -1)) {
      lua_settop(L, 1);
      return lua_error(L);
    }
  }
  lua_settop(L, 1);
  return 1;
}


static int wrap (lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushcclosure(L, callhost, 1);
  return 1;
}


static int wrapcall (lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, callreply, 1);
  lua_insert(L, 1);
  lua_pushcclosure(L, callcommand, 1);
  return 2;
}


/*
** Puts an error and where it was raised, by a script and not by a function of
** C, into a table.
*/
static int locate (lua_State *L) {
  lua_Debug ar;
  int level = 1;
  lua_settop(L, 1);
  lua_createtable(L, 0, 3);
  lua_insert(L, 1);
  lua_setfield(L, 1, "raised");
  if (lua_getstack(L, level, &ar)) {
    lua_getinfo(L, "Sl", &ar);
    if (*ar.what == 'C' && lua_getstack(L, level + 1, &ar))
      lua_getinfo(L, "Sl", &ar);
    if (*ar.what != 'C') {
      lua_pushstring(L, ar.source);
      lua_setfield(L, 1, "source");
      lua_pushinteger(L, ar.currentline);
      lua_setfield(L, 1, "line");
    }
  }
  return 1;
}


static size_t memoryused (lua_State *L) {
  return (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024;
}


/*
** Calls a function for the host: true and its first result, or false and what
** `locate' made of the error, or false and the error itself if it is none of a
** script's.
*/
static int run (lua_State *L) {
  int status;
  size_t before = memoryused(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));  /* `locate' */
  lua_insert(L, 1);
  lua_setmemorylimit(L, before + MEMORYLIMIT);
  status = lua_pcall(L, lua_gettop(L) - 2, 1, 1);
  lua_setmemorylimit(L, 0);
  if (memoryused(L) > before + MOSTLEFT)
    lua_gc(L, LUA_GCCOLLECT, 0);
  lua_pushboolean(L, status == 0);
  lua_replace(L, 1);
  return 2;
}


/*
** Puts the values from one index up to another, which is left out, into a table
** that is the same each time: when a script has ended, nobody else knows it any
** more.
*/
static void collect (lua_State *L, int table, int from, int end) {
  int i;
  lua_renew(L, table, end - from);
  for (i = from; i < end; i++) {
    lua_pushvalue(L, i);
    lua_rawseti(L, table, i - from + 1);
  }
}


/*
** The same for a script, which finds its keys and arguments in global variables:
** called with the script, how many keys there are, the keys and the arguments.
*/
static int runscript (lua_State *L) {
  int keys = 3 + lua_tointeger(L, 2);
  int end = lua_gettop(L) + 1;
  collect(L, lua_upvalueindex(2), 3, keys);
  collect(L, lua_upvalueindex(3), keys, end);
  lua_settop(L, 1);
  return run(L);
}


/*
** What reading a global variable comes to that there is not.
*/
static int missing (lua_State *L) {
  const char *name = lua_tostring(L, 2);
  if (name == NULL)
    return luaL_error(L, "Second argument to luaProtectedTableError must be a string or number");
  return luaL_error(L, "Script attempted to access nonexistent global variable '%s'", name);
}


/*
** Gives the table at the top a metatable that nobody can change and that looks
** up what is missing in the value at the index.
*/
static void lookup (lua_State *L, int index) {
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, index);
  lua_setfield(L, -2, "__index");
  lua_setreadonly(L, -1, 1);
  lua_setmetatable(L, -2);
}


/*
** Makes a table of variables and every library in it unchangeable, and names that
** are missing in it errors.
*/
static int protect (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    if (lua_istable(L, -1))
      lua_setreadonly(L, -1, 1);
    lua_pop(L, 1);
  }
  lua_pushliteral(L, "");
  if (lua_getmetatable(L, -1))
    lua_setreadonly(L, -1, 1);
  lua_settop(L, 1);
  lua_pushcfunction(L, missing);
  lua_pushvalue(L, 1);
  lua_setreadonly(L, -1, 0);
  lookup(L, 2);
  lua_setreadonly(L, -1, 1);
  return 0;
}


/*
** Makes what is in a table the global variables, in place of what they were.
*/
static int reveal (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  lua_setreadonly(L, -1, 0);
  lookup(L, 1);
  lua_setreadonly(L, -1, 1);
  return 0;
}


static const luaL_Reg hostlib[] = {
  {"protect", protect},
  {"reveal", reveal},
  {"wrap", wrap},
  {"wrapcall", wrapcall},
  {NULL, NULL}
};


LUALIB_API int luaopen_host (lua_State *L) {
  luaL_register(L, "host", hostlib);
  lua_pushcfunction(L, locate);
  lua_pushcclosure(L, run, 1);
  lua_setfield(L, -2, "run");
  lua_pushcfunction(L, locate);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setglobal(L, "KEYS");
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setglobal(L, "ARGV");
  lua_pushcclosure(L, runscript, 3);
  lua_setfield(L, -2, "runscript");
  return 1;
}


static int os_clock (lua_State *L) {
  lua_pushnumber(L, (lua_Number)clock() / (lua_Number)CLOCKS_PER_SEC);
  return 1;
}


static const luaL_Reg oslib[] = {
  {"clock", os_clock},
  {NULL, NULL}
};


LUALIB_API int luaopen_os (lua_State *L) {
  luaL_register(L, LUA_OSLIBNAME, oslib);
  return 1;
}


/*
** Named by those who can open any library, and opened by nobody.
*/
static int nolibrary (lua_State *L) {
  return luaL_error(L, "this Lua has no such library");
}


LUALIB_API int luaopen_io (lua_State *L) {
  return nolibrary(L);
}


LUALIB_API int luaopen_debug (lua_State *L) {
  return nolibrary(L);
}


LUALIB_API int luaopen_package (lua_State *L) {
  return nolibrary(L);
}
