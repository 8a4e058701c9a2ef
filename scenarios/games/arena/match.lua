-- An arena: walk, shoot, score. Shows a shared state, modules, game.spatial, events, and bots that see what a player
-- sees. Input: {move_x, move_y} in -1..1, and {shoot = true, aim_x, aim_y}.
-- game_options: length_s, how long it lasts, and bots, how many of them join.

match_size = 2
max_players = 8
tick_hz = 20
listed = true
quick_play = true
state_strategy = "shared"
bots = { script = "bots/hunter.lua" }

local shots = require("shots")

local BOTS = { "Spark", "Blitz", "Volt" }
local WIDTH, HEIGHT, SPEED, LENGTH_S, RELOAD_TICKS = 800, 600, 4, 90, 10

local function clamp(v, low, high) return math.max(low, math.min(high, v)) end
local function number(v, otherwise) return type(v) == "number" and v or otherwise end

local function spawn()
  return { x = math.random(50, WIDTH - 50), y = math.random(50, HEIGHT - 50), move_x = 0, move_y = 0,
    hp = 100, score = 0, reload = 0 }
end

function init(config)
  return { players = {}, shots = {}, length_s = number(config.length_s, LENGTH_S), clock_s = 0,
    bots_wanted = math.min(number(config.bots, 0), #BOTS), bots_asked = 0 }
end

function join(id, state)
  state.players[id] = spawn()
  return state
end

function leave(id, state)
  state.players[id] = nil
  return state
end

function handle_input(id, input, state)
  local p = state.players[id]
  if not p then return state end
  p.move_x = clamp(number(input.move_x, 0), -1, 1)
  p.move_y = clamp(number(input.move_y, 0), -1, 1)
  if input.shoot == true and p.reload == 0 and type(input.aim_x) == "number" and type(input.aim_y) == "number" then
    p.reload = RELOAD_TICKS
    shots.fire(state.shots, id, p, input.aim_x, input.aim_y)
  end
  return state
end

local function hit(state, shot, victim_id)
  local victim, shooter = state.players[victim_id], state.players[shot.owner]
  victim.hp = victim.hp - shots.DAMAGE
  if victim.hp > 0 then return end
  local score = victim.score
  state.players[victim_id] = spawn()
  state.players[victim_id].score = score
  if shooter then shooter.score = shooter.score + 1 end
  game.broadcast("frag", { by = shot.owner, who = victim_id })
end

function tick(state, dt)
  state.clock_s = state.clock_s + dt
  while state.bots_asked < state.bots_wanted do
    state.bots_asked = state.bots_asked + 1
    game.bots.add(BOTS[state.bots_asked])
  end
  for _, p in pairs(state.players) do
    p.x = clamp(p.x + p.move_x * SPEED, 0, WIDTH)
    p.y = clamp(p.y + p.move_y * SPEED, 0, HEIGHT)
    p.reload = math.max(0, p.reload - 1)
  end
  state.shots = shots.fly(state.shots, WIDTH, HEIGHT, function(shot)
    local near = game.spatial.nearest(state.players, shot.x, shot.y, 1, { exclude = shot.owner })[1]
    if near and near.distance <= shots.RADIUS then
      hit(state, shot, near.id)
      return true
    end
  end)
  if state.clock_s >= state.length_s then
    local winner, best = nil, -1
    for id, p in pairs(state.players) do
      if p.score > best then winner, best = id, p.score end
    end
    state._finished, state._result = true, { winner = winner, players = state.players }
  end
  return state
end

function get_state(state)
  return { players = state.players, shots = state.shots, left_s = math.ceil(state.length_s - state.clock_s) }
end
