-- Which script plays which mode. `tessera check scenarios/games` tries them, `tessera serve --games scenarios/games`
-- serves them.
return {
  lua_arena = "arena/match.lua",
  rps = "rps/match.lua",
  crawl = "crawl/match.lua",
  gate = "gate/match.lua",
}
