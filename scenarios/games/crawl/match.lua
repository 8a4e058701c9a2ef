-- A dungeon crawl for a group: at every fork the group ranks the paths, and the room they choose decides what it
-- costs them. Shows ranked votes from vote_requested, vetoes, phases, seeded rooms and a shared ending.
-- Input: {action = "attack"} in a fight. game_options: rooms, and fight_ticks, how long a fight may last.

match_size = 2
max_players = 4
tick_hz = 10
listed = true
quick_play = true
veto_tokens_per_player = 1
frustration_bonus = 0.5

local ROOMS, FIGHT_TICKS = 5, 100
local PATHS = {
  crypt = { label = "The crypt", foe = 30, gold = 40 },
  bridge = { label = "The rope bridge", foe = 15, gold = 15 },
  market = { label = "The goblin market", foe = 20, gold = 25 },
  cavern = { label = "The flooded cavern", foe = 25, gold = 30 },
}
local NAMES = { "bridge", "cavern", "crypt", "market" }

local function fork()
  local left, paths = { table.unpack(NAMES) }, {}
  for i = 1, 3 do paths[i] = table.remove(left, math.random(#left)) end
  return paths
end

local function whole(v, otherwise) return math.type(v) == "integer" and v > 0 and v or otherwise end

function init(config)
  return { players = {}, room = 0, rooms = whole(config.rooms, ROOMS),
    fight_ticks = whole(config.fight_ticks, FIGHT_TICKS), gold = 0, phase = "fork", paths = fork(), log = {} }
end

function join(id, state)
  state.players[id] = { hp = 100, swings = 0 }
  return state
end

function leave(id, state)
  state.players[id] = nil
  return state
end

function handle_input(id, input, state)
  local p = state.players[id]
  if state.phase == "fight" and input.action == "attack" and p and p.hp > 0 and not p.swung then
    p.swung, p.swings = true, p.swings + 1
    state.foe = state.foe - math.random(1, 3)
  end
  return state
end

local function say(state, text)
  state.log[#state.log + 1] = text
  if #state.log > 5 then table.remove(state.log, 1) end
end

local function enter(state, path)
  state.room, state.phase, state.path, state.timer = state.room + 1, "fight", path, state.fight_ticks
  state.foe, state.asked = PATHS[path].foe, false
  -- The first room shuts the dungeon behind the group.
  game.match.set_joinable(false)
  say(state, "You take " .. PATHS[path].label)
  game.broadcast("room", { room = state.room, path = path })
end

local function standing(state)
  local n = 0
  for _, p in pairs(state.players) do
    if p.hp > 0 then n = n + 1 end
  end
  return n
end

function tick(state)
  if state.phase ~= "fight" then return state end
  state.timer = state.timer - 1
  for _, p in pairs(state.players) do
    p.swung = false
    if state.timer % 10 == 0 and p.hp > 0 then p.hp = math.max(0, p.hp - math.random(0, 2)) end
  end
  if state.foe <= 0 or state.timer <= 0 then
    if state.foe <= 0 then
      state.gold = state.gold + PATHS[state.path].gold
      say(state, "The room is yours")
    else
      say(state, "You slip past")
    end
    state.phase, state.paths = "fork", fork()
  end
  if standing(state) == 0 or (state.phase == "fork" and state.room == state.rooms) then
    state._finished = true
    state._result = { status = standing(state) > 0 and "escaped" or "lost", gold = state.gold, rooms = state.room }
  end
  return state
end

function vote_requested(state)
  if state.phase ~= "fork" or state.asked or state._finished then return nil end
  state.asked = true
  local options = {}
  for i, path in ipairs(state.paths) do options[i] = { id = path, label = PATHS[path].label } end
  return {
    template = "path",
    options = options,
    method = "ranked",
    window_ms = 15000,
    window_type = "ready_up",
    veto_enabled = true,
    fallback = state.paths[1],
  }
end

function vote_resolved(template, result, state)
  if template == "path" and state.phase == "fork" then enter(state, PATHS[result.winner] and result.winner or state.paths[1]) end
  return state
end

-- A veto costs a token and brings new paths to choose from.
function vote_vetoed(template, by, state)
  if template == "path" then state.paths, state.asked = fork(), false end
  return state
end

function get_state(id, state)
  return {
    phase = state.phase, room = state.room, rooms = state.rooms, gold = state.gold, foe = state.foe, paths = state.paths,
    players = state.players, log = state.log, me = state.players[id],
  }
end
