-- A room with a door. Shows game.match.set_joinable: whoever is inside opens and shuts it for those outside.
-- Input: {open = true | false}. With game_options = {turns = N} it ends when the door was turned so often.

match_size = 1
max_players = 2
tick_hz = 10
listed = true
quick_play = true
state_strategy = "shared"

function init(config)
  return { open = true, inside = 0, turned = 0, turns = config.turns }
end

function join(id, state)
  state.inside = state.inside + 1
  return state
end

function leave(id, state)
  state.inside = state.inside - 1
  return state
end

function handle_input(id, input, state)
  if type(input.open) == "boolean" then
    state.open, state.turned = input.open, state.turned + 1
    game.match.set_joinable(state.open)
    if state.turned == state.turns then game.match.finish({ turned = state.turned }) end
  end
  return state
end

function tick(state, dt)
  return state
end

function get_state(state)
  return { open = state.open, inside = state.inside, turned = state.turned }
end
