//! What a scripted match costs beside a native one: a tick with both players' views, an input, and what the host adds
//! when the script does nothing at all. `cargo bench --bench lua`; the goal is under 10 us per tick for the host, and
//! 200 matches of two at 10 Hz (2,000 ticks a second) in 15 % of a core, which is 75 us each.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde_json::value::RawValue;
use tessera::games::lua::{Allowance, Birth, LuaGame, Script, Sources};
use tessera::games::{Audience, Effect, Game, GameCx, built_in};
use tessera::ids::{MatchId, PlayerId};

/// Callbacks that do nothing: what is left is the host.
const NOTHING: &str = "
state_strategy = 'shared'
function init() return {} end
function join(id, state) return state end
function handle_input(id, input, state) return state end
function tick(state) return state end
function get_state(state) return state end";

/// The native demo, in Lua: two players walk, everyone sees everything.
const WALK: &str = "
local function clamp(v, low, high) return v < low and low or v > high and high or v end
function init() return { players = {}, elapsed_ms = 0, phase = 'playing' } end
function join(id, state) state.players[id] = { x = 100, y = 100, move_x = 0.5, move_y = -0.25 } return state end
function handle_input(id, input, state)
  local p = state.players[id]
  p.move_x, p.move_y = clamp(input.move_x or 0, -1, 1), clamp(input.move_y or 0, -1, 1)
  return state
end
function tick(state)
  state.elapsed_ms = state.elapsed_ms + 100
  for _, p in pairs(state.players) do
    p.x, p.y = clamp(p.x + p.move_x * 4, 0, 800), clamp(p.y + p.move_y * 4, 0, 600)
  end
  return state
end
function get_state(id, state) return state end";

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("JSON")
}

fn scripted(text: &str) -> Box<dyn Game> {
    let sources = Arc::new(Sources::from_texts([("match.lua", text)]).expect("a script"));
    let script = Script::new("match.lua", sources, Allowance::default());
    Box::new(LuaGame::new(script, &raw("{}"), Birth { seed: 1, unix_us: 0 }).expect("a game"))
}

/// A match of two.
struct Match {
    game: Box<dyn Game>,
    players: Vec<PlayerId>,
    tick: u64,
    rng: ChaCha8Rng,
    effects: Vec<Effect>,
    frame: Vec<u8>,
}

impl Match {
    fn of(game: Box<dyn Game>) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(1);
        let mut this = Self { game, players: vec![], tick: 0, rng, effects: vec![], frame: vec![] };
        for n in 1..=2u128 {
            let player = PlayerId::from_u128(n << 64);
            this.players.push(player);
            this.with(|game, cx| game.join(cx, player, None)).expect("a seat");
        }
        this
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut dyn Game, &mut GameCx<'_>) -> T) -> T {
        let mut cx = GameCx {
            match_id: MatchId::from_u128(1),
            tick: self.tick,
            elapsed_us: self.tick * 100_000,
            dt_us: 100_000,
            unix_us: 0,
            rng: &mut self.rng,
            players: &self.players,
            effects: &mut self.effects,
        };
        call(self.game.as_mut(), &mut cx)
    }

    /// One tick and what everyone sees of it.
    fn step(&mut self) -> usize {
        self.with(|game, cx| {
            game.tick(cx);
            game.vote_requested(cx);
        });
        self.tick += 1;
        self.frame.clear();
        match self.game.audience() {
            Audience::Shared => self.game.view(None, &mut self.frame),
            Audience::PerPlayer => {
                for player in &self.players {
                    self.game.view(Some(*player), &mut self.frame);
                }
            }
        }
        self.effects.clear();
        self.frame.len()
    }
}

fn ticks(c: &mut Criterion) {
    let mut group = c.benchmark_group("lua_tick");
    let native = || (built_in("demo").expect("demo").build)(&raw(r#"{"duration_s":1000000}"#)).expect("a game");
    for (name, game) in [("native_demo", native()), ("host_alone", scripted(NOTHING)), ("demo_in_lua", scripted(WALK))]
    {
        let mut played = Match::of(game);
        group.bench_function(name, |b| b.iter(|| black_box(played.step())));
    }
    let input = raw(r#"{"move_x":0.5,"move_y":-0.5}"#);
    let mut played = Match::of(scripted(WALK));
    let player = played.players[0];
    group.bench_function("input", |b| b.iter(|| played.with(|game, cx| game.input(cx, player, &input))));
    group.bench_function("new_match", |b| b.iter(|| scripted(WALK)));
    group.finish();
}

criterion_group!(benches, ticks);
criterion_main!(benches);
