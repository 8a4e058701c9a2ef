-- NAME: a match in one file. Save it while it runs and the next tick plays the new version.

-- What kind of match this is. Everything here has a default.
match_size = 2        -- players that the matchmaker puts together
max_players = 8       -- seats
tick_hz = 10          -- ticks per second
listed = true         -- matches of this mode can be browsed
quick_play = true     -- and joined with one message
veto_tokens_per_player = 1

local WIDTH, HEIGHT, SPEED, ROUND_TICKS = 800, 600, 4, 300

local function clamp(v, low, high) return math.max(low, math.min(high, v)) end

-- A client may send anything at all; a number is what this game understands.
local function axis(v) return type(v) == "number" and clamp(v, -1, 1) or 0 end

-- Called once. `config` is the mode's game_options. The table it returns is the match's state.
function init(config)
  return { players = {}, ticks = 0, map = "meadow", votes = 0, left = config.rounds or 3 }
end

-- A player wants a seat; `ctx` is what their client sent with the join. Return the state to let them in, or nil and
-- a reason to turn them away.
function join(player_id, state, ctx)
  state.players[player_id] = {
    x = math.random(50, WIDTH - 50), y = math.random(50, HEIGHT - 50), move_x = 0, move_y = 0, score = 0,
  }
  return state
end

function leave(player_id, state)
  state.players[player_id] = nil
  return state
end

-- What a client sent as match.input.
function handle_input(player_id, input, state)
  local p = state.players[player_id]
  if p then p.move_x, p.move_y = axis(input.move_x), axis(input.move_y) end
  return state
end

-- The world moves on: dt is seconds, index counts ticks from 0.
function tick(state, dt, index)
  state.ticks = state.ticks + 1
  for _, p in pairs(state.players) do
    p.x = clamp(p.x + p.move_x * SPEED, 0, WIDTH)
    p.y = clamp(p.y + p.move_y * SPEED, 0, HEIGHT)
    if p.x == WIDTH then
      p.x, p.score = 0, p.score + 1
      game.broadcast("lap", { score = p.score })
    end
  end
  if state.left == 0 then
    state._finished = true
    state._result = { players = state.players, map = state.map }
  end
  return state
end

-- Asked after each tick. Return a vote to hold one; the match plays on meanwhile.
function vote_requested(state)
  if state.ticks % ROUND_TICKS ~= 0 or state.left == 0 then return nil end
  return {
    template = "next_map",
    options = { { id = "meadow", label = "Meadow" }, { id = "cave", label = "Cave" }, { id = "harbour", label = "Harbour" } },
    method = "ranked",          -- or plurality, approval, score, star, schulze, ...
    window_ms = 10000,
    window_type = "ready_up",   -- closes when everyone present has voted
    veto_enabled = true,
  }
end

-- It closed. `result.winner` is nil when nobody voted.
function vote_resolved(template, result, state)
  state.map = result.winner or state.map
  state.left = state.left - 1
  return state
end

function vote_vetoed(template, by, state)
  game.broadcast("vetoed", { by = by })
  return state
end

-- What one player may see: match.state, exactly as returned here.
function get_state(player_id, state)
  return { players = state.players, map = state.map, me = state.players[player_id], rounds_left = state.left }
end
