//! What is stored of those who come is there before they do, so that a script which reads it where they join does not
//! take them for somebody new.

use super::testing::{Played, id, raw, said};
use crate::games::{Game, Stored};

fn of(values: &[(&str, &str)]) -> Option<Vec<Stored>> {
    let stored = |(key, json): &(&str, &str)| Stored { collection: "c".into(), key: (*key).into(), value: raw(json) };
    Some(values.iter().map(stored).collect())
}

/// What was asked for so far, without what the script left behind.
fn asked(m: &mut Played) -> Vec<String> {
    std::mem::take(&mut m.effects).iter().map(said).collect()
}

/// Lets a player in, who may have to wait for the time that others took.
fn join(m: &mut Played, player: u128) {
    let began = std::time::Instant::now();
    while m.join(player, None).is_err() {
        assert!(began.elapsed().as_secs() < 20);
    }
    m.game.came(&[id(player)]);
}

fn is_behind(m: &mut Played, coming: u128) -> bool {
    m.with(|game, cx| game.is_behind(cx, &[id(coming)]))
}

const READER: &str = "function init() return {} end
    function join(p, state)
      local r, other, ours = game.storage.player_get(p, 'c', 'xp'), game.storage.player_get(p, 'c', 'nothing'), game.storage.get('c', 'all')
      state[p] = { r.ok or r.error, other.error, ours.ok or ours.error }
      return state
    end
    function handle_input(p, input, state) game.storage.player_set(p, 'c', 'xp', input.xp) return state end
    function get_state(p, state) return { got = state[p] } end";

#[test]
fn what_is_stored_of_a_player_is_there_when_they_join() {
    let mut m = Played::new(READER);
    assert!(is_behind(&mut m, 1));
    assert_eq!(m.told(), ["load all ", "load all 1"]);
    assert!(is_behind(&mut m, 1) && m.told().is_empty(), "asked for once");
    m.with(|game, cx| game.loaded_all(cx, None, of(&[("all", "7")])));
    assert!(is_behind(&mut m, 1));
    m.with(|game, cx| game.loaded_all(cx, Some(id(1)), of(&[("xp", "30")])));
    assert!(!is_behind(&mut m, 1));
    join(&mut m, 1);
    assert_eq!(m.view(Some(1)), r#"{"got":[30,"not_found",7]}"#);
    // Who comes again may have stored something elsewhere meanwhile.
    m.input(1, r#"{"xp":40}"#);
    m.leave(1);
    m.told();
    assert!(is_behind(&mut m, 1));
    assert_eq!(m.told(), ["load all 1"]);
    m.with(|game, cx| game.loaded_all(cx, Some(id(1)), of(&[("xp", "50")])));
    assert!(!is_behind(&mut m, 1));
    m.join(1, None).unwrap();
    assert_eq!(m.view(Some(1)), r#"{"got":[50,"not_found",7]}"#);
}

#[test]
fn what_was_stored_while_it_was_read_is_newer() {
    let mut m = Played::new(READER);
    m.join(1, None).unwrap();
    m.leave(1);
    is_behind(&mut m, 1);
    m.players.push(id(1));
    m.input(1, r#"{"xp":2}"#);
    m.with(|game, cx| game.loaded_all(cx, None, of(&[])));
    m.with(|game, cx| game.loaded_all(cx, Some(id(1)), of(&[("xp", "1")])));
    m.join(1, None).unwrap();
    assert_eq!(m.view(Some(1)), r#"{"got":[2,"not_found","not_found"]}"#);
}

#[test]
fn what_cannot_be_had_at_once_is_loaded_when_it_is_asked_for() {
    let mut m = Played::new(READER);
    is_behind(&mut m, 1);
    m.with(|game, cx| game.loaded_all(cx, None, of(&[])));
    m.with(|game, cx| game.loaded_all(cx, Some(id(1)), None));
    assert!(!is_behind(&mut m, 1), "nobody waits for ever");
    m.told();
    m.join(1, None).unwrap();
    assert_eq!(m.view(Some(1)), r#"{"got":["loading","loading","not_found"]}"#);
    // Of the game's the last because another match may have stored it by now.
    assert_eq!(m.told(), ["load 1 c/xp", "load 1 c/nothing", "load  c/all"]);
    m.with(|game, cx| game.loaded(cx, None, "c", "all", Some(&raw("9"))));
    join(&mut m, 2);
    assert_eq!(m.view(Some(2)), r#"{"got":["loading","loading",9]}"#);
}

#[test]
fn a_match_without_stored_values_waits_for_none() {
    let mut m = Played::new("function join(p, state) return state end");
    assert!(!is_behind(&mut m, 1) && m.told().is_empty());
}

const BEGINS: &str =
    "function init() game.log('info', 'init') return { level = game.storage.get('c', 'level').ok or 'none' } end
    function join(p, state) return state end
    function get_state(p, state) return state end
    function tick(state) local r = game.storage.get('c', 'level') state.now = r.ok or r.error return state end";

#[test]
fn an_init_that_reads_what_is_not_there_yet_is_called_again() {
    let mut m = Played::new(BEGINS);
    assert!(is_behind(&mut m, 1));
    assert_eq!(asked(&mut m), ["load all ", "load all 1"], "what it asked for otherwise is for those who come");
    m.with(|game, cx| game.loaded_all(cx, None, of(&[("level", r#""cave""#)])));
    m.with(|game, cx| game.loaded_all(cx, Some(id(1)), of(&[])));
    assert_eq!(asked(&mut m), [""; 0]);
    m.join(1, None).unwrap();
    assert_eq!(m.told(), ["log info: init"], "once");
    m.ticks(1);
    assert_eq!(m.view(Some(1)), r#"{"level":"cave","now":"cave"}"#);
}

#[test]
fn no_init_is_called_again_once_somebody_plays() {
    let mut m = Played::new(BEGINS);
    is_behind(&mut m, 1);
    m.join(1, None).unwrap();
    assert_eq!(m.told(), ["load all ", "load all 1", "log info: init", "load  c/level"]);
    m.leave(1);
    m.with(|game, cx| game.loaded_all(cx, None, of(&[("level", r#""cave""#)])));
    m.ticks(1);
    assert_eq!(m.view(Some(1)), r#"{"level":"none","now":"cave"}"#);
}

#[test]
fn who_was_not_let_in_after_all_is_asked_for_anew() {
    let mut m = Played::new(READER);
    is_behind(&mut m, 1);
    m.with(|game, cx| game.loaded_all(cx, None, of(&[])));
    m.with(|game, cx| game.loaded_all(cx, Some(id(1)), of(&[("xp", "10")])));
    assert!(!is_behind(&mut m, 1));
    m.game.came(&[id(1)]);
    m.told();
    assert!(is_behind(&mut m, 1), "they may have played elsewhere");
    assert_eq!(asked(&mut m), ["load all 1"]);
    // Who waited too long is let in without; what comes then is not taken for news.
    m.join(1, None).unwrap();
    m.game.came(&[id(1)]);
    m.input(1, r#"{"xp":40}"#);
    m.with(|game, cx| game.loaded_all(cx, Some(id(1)), of(&[("xp", "10")])));
    assert!(!is_behind(&mut m, 1), "who plays waits for nothing");
    m.join(1, None).unwrap();
    assert!(m.view(Some(1)).starts_with(r#"{"got":[40,"#), "{}", m.view(Some(1)));
}

#[test]
fn what_is_in_sight_unasked_takes_no_room_from_what_is_asked_for() {
    let mut m = Played::new(READER);
    let many: Vec<_> = (0..60).map(|n| format!("k{n}")).chain(["xp".to_owned()]).collect();
    let many: Vec<_> = many.iter().map(|key| (key.as_str(), "1")).collect();
    for player in 1..=40 {
        is_behind(&mut m, player);
        m.with(|game, cx| game.loaded_all(cx, None, of(&[])));
        m.with(|game, cx| game.loaded_all(cx, Some(id(player)), of(&many)));
        join(&mut m, player);
        assert!(m.view(Some(player)).starts_with(r#"{"got":[1,"#), "{player}: {}", m.view(Some(player)));
        m.leave(player);
    }
}
