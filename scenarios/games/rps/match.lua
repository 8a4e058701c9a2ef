-- Rock, paper, scissors, and the players decide how long: a vote on the length opens the match, then rounds are
-- thrown in secret and shown together. Shows a view for each player, a vote before the game,
-- game.vote.open, and a word filter.
-- Input: {throw = "rock" | "paper" | "scissors"}.

match_size = 2
max_players = 6
tick_hz = 10
listed = true
quick_play = true

local BEATS = { rock = "scissors", paper = "rock", scissors = "paper" }
local CHOOSE_TICKS, SHOW_TICKS = 50, 15
local VOTE = {
  template = "best_of",
  options = { { id = "1", label = "One round" }, { id = "3", label = "Best of three" }, { id = "5", label = "Best of five" } },
  method = "plurality",
  window_ms = 10000,
  window_type = "ready_up",
  fallback = "3",
}

function init()
  return { players = {}, phase = "vote", timer = 0, round = 0, best_of = 3 }
end

function join(id, state)
  -- Whoever comes when the first throw is due would play fewer rounds than the others.
  if state.phase ~= "vote" then return nil, "duel_running" end
  state.players[id] = { points = 0 }
  return state
end

function leave(id, state)
  state.players[id] = nil
  return state
end

-- What a player writes in the match's channel: naming a throw spoils the round for the others. It is asked in a machine
-- of its own, without a state, so that what is said never changes the game.
function judge_chat(id, text)
  local spoiled = text:lower()
  for throw in pairs(BEATS) do
    if spoiled:find(throw, 1, true) then return false end
  end
  return (text:gsub("[Dd]arn", "****"))
end

local function choose(state)
  state.phase, state.timer, state.round = "choose", CHOOSE_TICKS, state.round + 1
  for _, p in pairs(state.players) do p.throw = nil end
end

local function everyone_threw(state)
  for _, p in pairs(state.players) do
    if not p.throw then return false end
  end
  return true
end

local function show(state)
  state.phase, state.timer = "show", SHOW_TICKS
  for id, p in pairs(state.players) do
    for other_id, other in pairs(state.players) do
      if id ~= other_id and p.throw and BEATS[p.throw] == other.throw then p.points = p.points + 1 end
    end
  end
  game.broadcast("shown", { round = state.round })
end

local function leader(state)
  local best, points
  for id, p in pairs(state.players) do
    if not points or p.points > points then best, points = id, p.points end
  end
  return best
end

function handle_input(id, input, state)
  local p = state.players[id]
  if state.phase == "choose" and p and not p.throw and type(input.throw) == "string" and BEATS[input.throw] then
    p.throw = input.throw
    if everyone_threw(state) then show(state) end
  end
  return state
end

function tick(state)
  if state.phase == "vote" and not state.asked then
    state.asked = true
    game.vote.open(VOTE)
  end
  state.timer = state.timer - 1
  if state.timer > 0 then return state end
  if state.phase == "choose" then
    show(state)
  elseif state.phase == "show" then
    if state.round < state.best_of then
      choose(state)
    else
      state.phase = "over"
      -- `winner` makes the others losers on record; `stats` is kept there with each player.
      local stats = {}
      for id, p in pairs(state.players) do stats[id] = { points = p.points } end
      return { finished = true, result = { winner = leader(state), rounds = state.round, stats = stats } }
    end
  end
  return state
end

function vote_resolved(template, result, state)
  if template == "best_of" and state.phase == "vote" then
    state.best_of = tonumber(result.winner) or 3
    choose(state)
  end
  return state
end

-- Others' throws stay hidden until all are shown.
function get_state(id, state)
  local players = {}
  for other, p in pairs(state.players) do
    local open = other == id or state.phase ~= "choose"
    players[other] = { points = p.points, threw = p.throw ~= nil, throw = open and p.throw or nil }
  end
  return { phase = state.phase, round = state.round, best_of = state.best_of, players = players }
end
