//! What a scripted match costs beside a native one: a tick with both players' views, an input, and what the host adds
//! when the script does nothing at all; two hundred matches at once, alone and in a whole server; and what a hostile
//! script can cost its neighbours. `cargo bench --bench lua`; the goal is under 10 us per tick for the host, and 200
//! matches of two at 10 Hz (2,000 ticks a second) in 15 % of a core, which is 75 us each, at 100 KB each.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rustix::time::{ClockId, clock_gettime};
use serde_json::value::RawValue;
use tessera::actors::realm::MatchOrder;
use tessera::config::Config;
use tessera::engine::modes::Mode;
use tessera::games::lua::{Allowance, Birth, LuaGame, Script, Sources};
use tessera::games::{Audience, Effect, Game, GameCx, built_in};
use tessera::ids::{MatchId, PlayerId};
use tessera::server::{Threads, in_background};

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
    Box::new(lua_game(text, Allowance::default()))
}

fn lua_game(text: &str, allowance: Allowance) -> LuaGame {
    let sources = Arc::new(Sources::from_texts([("match.lua", text)]).expect("a script"));
    let script = Script::new("match.lua", sources, allowance);
    LuaGame::new(script, &raw("{}"), Birth::trial(1, 0)).expect("a game")
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
    // Each in a tick of its own, as the inputs of one tick share one account.
    group.bench_function("input", |b| {
        b.iter(|| {
            played.tick += 1;
            played.with(|game, cx| game.input(cx, player, &input));
        })
    });
    group.bench_function("new_match", |b| b.iter(|| scripted(WALK)));
    group.finish();
}

/// Processor time of this thread or process.
fn cpu(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// What two hundred matches of two at 10 Hz cost: their games alone on one thread, an input of each player every tick;
/// and a whole server that plays them with idle bots in the seats, clock, votes and waking up included, sockets, views and
/// inputs not; and that with a game that costs next to nothing, for what is the server's own.
fn two_hundred_matches(_: &mut Criterion) {
    let input = raw(r#"{"move_x":0.5,"move_y":-0.5}"#);
    let bytes = measured_bytes(&mut lua_game(WALK, Allowance::default()));
    let mut matches: Vec<_> = (0..200)
        .map(|_| {
            let mut played = Match::of(Box::new(lua_game(WALK, Allowance::default())));
            (0..50).for_each(|_| {
                played.step();
            });
            played
        })
        .collect();
    const SECONDS: u32 = 30;
    let before = cpu(ClockId::ThreadCPUTime);
    for _ in 0..SECONDS * 10 {
        for played in &mut matches {
            for player in played.players.clone() {
                played.with(|game, cx| game.input(cx, player, &input));
            }
            black_box(played.step());
        }
    }
    let took = cpu(ClockId::ThreadCPUTime) - before;
    println!(
        "200 matches of two at 10 Hz: games alone {:.1} % of a core, {:.1} us per tick with its two inputs and views; \
         {} KB of memory each",
        took.as_secs_f64() / f64::from(SECONDS) * 100.0,
        took.as_secs_f64() * 1e6 / f64::from(SECONDS * 10 * 200),
        bytes.div_ceil(1024)
    );
    drop(matches);

    let folder = std::env::temp_dir().join(format!("tessera-bench-lua-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("match.lua"), WALK).expect("a script");
    for (what, mode) in [("the same in a whole server", "default"), ("the built-in demo in its place", "native")] {
        let (core, each_us) = whole_server(&folder, mode);
        println!("{what}: {core:.1} % of a core, {each_us:.1} us per tick");
    }
    let _ = std::fs::remove_dir_all(&folder);
}

/// Plays two hundred matches of `mode` for ten seconds; how many hundredths of a core that takes, and how many
/// microseconds a tick.
fn whole_server(folder: &std::path::Path, mode: &str) -> (f64, f64) {
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.server.data = ":memory:".into();
    config.server.games = folder.display().to_string();
    config.modes.insert("native".into(), Mode { game: "builtin:demo".into(), tick_hz: 10, ..Mode::default() });
    let server = in_background(config, Threads { workers: 1, arbiters: 1 }, None).expect("a server");
    for _ in 0..200 {
        let order = MatchOrder {
            mode: mode.into(),
            private: false,
            matched: vec![],
            bots: 2,
            queued: None,
            promised: 0,
            insists: true,
        };
        assert!(server.realm.start_match(order).is_ok());
    }
    std::thread::sleep(Duration::from_secs(3));
    let meters = server.realm.meters.mode(&mode.into());
    let ticks = || meters.ticks.load(std::sync::atomic::Ordering::Relaxed);
    let (before, ticks_before, began) = (cpu(ClockId::ProcessCPUTime), ticks(), Instant::now());
    std::thread::sleep(Duration::from_secs(10));
    let (took, ticked, passed) = (cpu(ClockId::ProcessCPUTime) - before, ticks() - ticks_before, began.elapsed());
    assert!(ticked > 19_000, "{ticked} ticks");
    (took.as_secs_f64() / passed.as_secs_f64() * 100.0, took.as_secs_f64() * 1e6 / ticked as f64)
}

/// Bytes of a match of two that was played for a while.
fn measured_bytes(game: &mut LuaGame) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut effects, mut out, mut most) = (Vec::new(), Vec::new(), 0);
    let players: Vec<_> = (1..=2u128).map(|n| PlayerId::from_u128(n << 64)).collect();
    for tick in 0..1_000u64 {
        let mut cx = GameCx {
            match_id: MatchId::from_u128(1),
            tick,
            elapsed_us: tick * 100_000,
            dt_us: 100_000,
            unix_us: 0,
            rng: &mut rng,
            players: &players,
            effects: &mut effects,
        };
        if tick == 0 {
            players.iter().for_each(|player| drop(game.join(&mut cx, *player, None)));
        }
        game.tick(&mut cx);
        players.iter().for_each(|player| game.view(Some(*player), &mut out));
        out.clear();
        most = most.max(game.memory_bytes());
    }
    most
}

/// What the worst scripts we know cost their neighbours: the processor time of one tick with 64 inputs and 8 views,
/// every callback as hostile as the others. The budget is 25 ms.
fn hostile_ticks(_: &mut Criterion) {
    println!("one tick of a hostile script, processor time:");
    let large =
        format!("{}\nx = = 1", "local function f(a, b) return a + b end do local t = { f, f, f } end\n".repeat(7000));
    for section in include_str!("../tests/fixtures/hostile.lua").split("\n--- ").skip(1) {
        let (name, body) = section.split_once('\n').expect("a name and a script");
        let (once, body) = body.strip_prefix("once: ").and_then(|b| b.split_once('\n')).unwrap_or(("", body));
        let text = format!(
            "{once}
             local function bad() {body} end
             function handle_input(id, input, state) bad() end
             function tick(state) bad() end
             function get_state(id, state) bad() return V end"
        );
        let allowance = Allowance { strikes: 1_000_000, ..Allowance::default() };
        let sources =
            Arc::new(Sources::from_texts([("match.lua", text.as_str()), ("large.lua", &large)]).expect("scripts"));
        let script = Script::new("match.lua", sources, allowance);
        let game = match LuaGame::new(script, &raw("{}"), Birth::trial(1, 0)) {
            Ok(game) => game,
            Err(why) => {
                println!("  {name:<28} does not begin: {why}");
                continue;
            }
        };
        let mut played = Match::of(Box::new(game));
        let input = raw("{}");
        let mut took = Vec::new();
        for _ in 0..30 {
            let before = cpu(ClockId::ThreadCPUTime);
            for n in 0..64 {
                let player = played.players[n % 2];
                played.with(|game, cx| game.input(cx, player, &input));
            }
            for _ in 0..4 {
                // Views alone, as for more players: the tick itself is in the first.
                let players = played.players.clone();
                players.iter().for_each(|player| played.game.view(Some(*player), &mut played.frame));
            }
            played.step();
            took.push(cpu(ClockId::ThreadCPUTime) - before);
        }
        took.sort();
        println!(
            "  {name:<28} {:6.1} ms at worst, {:6.1} ms in the middle",
            took[took.len() - 1].as_secs_f64() * 1e3,
            took[took.len() / 2].as_secs_f64() * 1e3
        );
    }
}

criterion_group!(benches, two_hundred_matches, hostile_ticks, ticks);
criterion_main!(benches);
