-- Walks towards the nearest other player and shoots. It sees what players see, nothing more.
names = { "Spark", "Blitz", "Volt" }

function think(bot_id, state)
  local me = state.players[bot_id]
  if not me then return {} end
  local target, best
  for id, p in pairs(state.players) do
    if id ~= bot_id then
      local d = (p.x - me.x) ^ 2 + (p.y - me.y) ^ 2
      if not best or d < best then target, best = p, d end
    end
  end
  if not target then return {} end
  local function towards(a, b) return a < b - 4 and 1 or a > b + 4 and -1 or 0 end
  return { move_x = towards(me.x, target.x), move_y = towards(me.y, target.y), shoot = true,
    aim_x = target.x, aim_y = target.y }
end
