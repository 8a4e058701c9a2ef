-- What bots do whose match names no script for them, as the public interface has it: in a game whose players stand at
-- an x and a y and have hp, they go after the nearest living other and shoot when it is near. Where a game offers boons,
-- they take the first. In any other game they do nothing.

local RANGE, SPREAD = 200, 10

local function number(v) return type(v) == "number" and v or nil end

local function nearest(id, me, players)
  local target, least
  for other, p in pairs(players) do
    if other ~= id and type(p) == "table" and (number(p.hp) or 0) > 0 then
      local dx, dy = (number(p.x) or 0) - me.x, (number(p.y) or 0) - me.y
      local far = math.sqrt(dx * dx + dy * dy)
      if not least or far < least then target, least = p, far end
    end
  end
  return target, least
end

local function coin() return math.random(2) == 1 end

local function boon(offers)
  local first = type(offers) == "table" and offers[1]
  local id = type(first) == "table" and first.id
  return id and { type = "boon_pick", boon_id = id } or nil
end

function think(id, state)
  if state.phase == "boon_pick" then return boon(state.boon_offers) end
  local players = state.players
  local me = type(players) == "table" and players[id]
  if type(me) ~= "table" or not number(me.x) or not number(me.y) then return nil end
  local target, far = nearest(id, me, players)
  if not target then
    return { right = coin(), left = coin(), down = coin(), up = coin(), shoot = false }
  end
  local x, y = number(target.x) or 0, number(target.y) or 0
  return {
    right = x > me.x, left = x < me.x, down = y > me.y, up = y < me.y,
    shoot = far < RANGE,
    aim_x = x + math.random(-SPREAD, SPREAD), aim_y = y + math.random(-SPREAD, SPREAD),
  }
end
