-- Projectiles, as a module of the arena.
local shots = { DAMAGE = 25, RADIUS = 20 }

local SPEED, RANGE_TICKS = 15, 40

function shots.fire(list, owner, from, aim_x, aim_y)
  local dx, dy = aim_x - from.x, aim_y - from.y
  local length = math.sqrt(dx * dx + dy * dy)
  if length < 1e-6 or length > 1e9 then return end
  list[#list + 1] = { owner = owner, x = from.x, y = from.y, vx = dx / length * SPEED, vy = dy / length * SPEED,
    left = RANGE_TICKS }
end

-- Moves every shot and keeps those that are still in the air; `lands` says whether one has hit something.
function shots.fly(list, width, height, lands)
  local flying = {}
  for _, shot in ipairs(list) do
    shot.x, shot.y, shot.left = shot.x + shot.vx, shot.y + shot.vy, shot.left - 1
    local inside = shot.x >= 0 and shot.x <= width and shot.y >= 0 and shot.y <= height
    if shot.left > 0 and inside and not lands(shot) then flying[#flying + 1] = shot end
  end
  return flying
end

return shots
