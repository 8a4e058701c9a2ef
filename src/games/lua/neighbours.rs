//! What others notice of a script: rows in the store that they write to as well, a thread that they tick on, votes
//! whose end costs them time.

use super::Allowance;
use super::testing::{Played, script};
use crate::games::Game;
use crate::limits::scripts::{
    SCRIPT_LINES_BURST, SCRIPT_NOTICES_BURST, SCRIPT_NOTICES_PER_S, SCRIPT_VALUES_BURST, SCRIPT_VALUES_PER_S,
};

/// How many lines of what was asked for begin so.
fn count(told: &[String], word: &str) -> usize {
    told.iter().filter(|line| line.starts_with(word)).count()
}

#[test]
fn what_is_stored_for_a_script_has_a_ration_and_its_author_is_told() {
    for (call, word, burst) in [
        ("game.notify(P, 't', 's')", "notify", SCRIPT_NOTICES_BURST),
        ("game.chat.send('lobby', P, 'hello')", "chat", SCRIPT_LINES_BURST),
        ("game.storage.set('c', 'k' .. i % 50, i)", "store", SCRIPT_VALUES_BURST),
        ("game.storage.player_set(P, 'c', 'k', i)", "store", SCRIPT_VALUES_BURST),
    ] {
        let text = format!(
            "function join(id, state) P = id return state end
             function tick(state)
               for i = 1, 512 do
                 local r = {call}
                 if type(r) == 'table' and r.error then state.error = r.error end
               end
               return state
             end"
        );
        let mut m = Played::new(&text);
        m.join(1, None).unwrap();
        m.ticks(1);
        let told = m.told();
        assert_eq!(count(&told, word), burst as usize, "{call}");
        let fault = told.iter().find(|line| line.starts_with("fault game.")).expect(call);
        assert!(fault.contains(" match.lua:4 a match has ") && fault.ends_with("this is over that"), "{fault}");
        assert!(m.view(None).contains("this is over that"), "{call}: the call site knows");
        // A minute at 10 Hz: what comes back, and not a word of it for each refusal.
        m.ticks(600);
        let told = m.told();
        assert!((200..1_000).contains(&count(&told, word)), "{call}: {}", count(&told, word));
        assert!(count(&told, "fault") <= 30, "{call}: {}", count(&told, "fault"));
    }
}

#[test]
fn each_who_is_notified_counts_and_the_same_again_is_refused_alike() {
    let text = "function tick(state)
           local ids = {} for i = 1, 100 do ids[i] = ('%08x-0000-0000-0000-000000000000'):format(i) end
           state.last = game.notify_many(ids, 't', 's').error or 'ok'
           state.n = (state.n or 0) + (state.last == 'ok' and 1 or 0)
           return state
         end";
    let play = || {
        let mut m = Played::new(text);
        m.ticks(600);
        (m.view(None), m.told())
    };
    let (seen, told) = play();
    // A minute's worth, and what there was at the beginning.
    let most = (SCRIPT_NOTICES_BURST + 60 * SCRIPT_NOTICES_PER_S) / 100;
    assert_eq!(count(&told, "notify"), most as usize);
    assert_eq!(play(), (seen, told), "match time decides");
}

#[test]
fn a_game_that_stores_in_every_tick_of_the_usual_rate_may() {
    let mut m = Played::new(
        "function tick(state) if game.storage.set('c', 'k', 1).error then state.no = true end return state end",
    );
    m.ticks(3_000);
    const { assert!(SCRIPT_VALUES_PER_S >= 10) }
    assert_eq!((m.view(None).as_str(), count(&m.told(), "fault")), ("{}", 0));
}

#[test]
fn a_value_is_read_once_however_often_it_is_asked_for() {
    let text = "function tick(state) for i = 1, 600 do game.storage.get('c', 'k' .. i) end end";
    let mut m = Played::new(text);
    m.ticks(20);
    // As many as one match keeps in sight, and none of them twice.
    assert_eq!(count(&m.told(), "load"), 256);
}

/// Plays so many ticks of a script that overspends in some; how many it had before it was over.
fn ticks_until_over(overspends: &str, hook: &str, ticks: u64) -> Option<u64> {
    let allowance = Allowance { instructions: 20_000, cpu_us: 10_000_000, ..Allowance::default() };
    let text = format!(
        "state_strategy = 'shared'
         local n = 0
         function tick(state) n = n + 1 {} end
         function get_state(state) {} return {{}} end
         function vote_requested(state) {} end",
        if hook == "tick" { format!("if {overspends} then while true do end end") } else { String::new() },
        if hook != "tick" {
            format!("if {overspends} and n % 2 == 0 then while true do end end")
        } else {
            String::new()
        },
        if hook == "alternating" {
            format!("if {overspends} and n % 2 == 1 then while true do end end")
        } else {
            String::new()
        },
    );
    let mut m = Played::of(script(&[("match.lua", &text)], allowance), 1);
    for tick in 1..=ticks {
        m.ticks(1);
        m.with(|game, cx| game.vote_requested(cx));
        m.view(None);
        if m.told().iter().any(|line| line.contains("script_failed")) {
            return Some(tick);
        }
    }
    None
}

#[test]
fn a_script_that_overspends_in_more_than_one_tick_of_five_ends() {
    for (overspends, ends) in [
        ("true", Some(5)),
        ("n % 5 ~= 0", Some(7)),
        ("n % 2 == 0", Some(14)),
        ("n % 4 == 0", Some(68)),
        // One of five may be a hiccup for ever.
        ("n % 5 == 0", None),
        ("n % 10 == 0", None),
    ] {
        assert_eq!(ticks_until_over(overspends, "tick", 500), ends, "{overspends}");
    }
    // Whichever of its callbacks does it.
    assert_eq!(ticks_until_over("true", "alternating", 100), Some(5));
    assert_eq!(ticks_until_over("n % 5 ~= 0", "alternating", 100), Some(7));
}

#[test]
fn votes_that_are_open_at_once_are_few_and_those_that_closed_do_not_count() {
    let text = "function tick(state)
           local r = game.vote.open({template = 't' .. game.id(), options = {'a', 'b'}})
           if type(r) == 'table' then state.error = r.error else state.n = (state.n or 0) + 1 state.error = nil end
           return state
         end";
    let mut m = Played::new(text);
    let mut open = Vec::new();
    for _ in 0..40 {
        m.ticks(1);
        for line in m.told() {
            let id = line.split("\"vote_id\":\"").nth(1).map(|rest| rest.trim_end_matches("\"}").to_owned());
            open.extend(id.map(|id| crate::games::OpenVote { id: id.parse().unwrap(), template: "t".into() }));
        }
        m.game.open_votes(&open);
    }
    assert_eq!(m.view(None), r#"{"error":"32 votes are open in this match, which is the most there may be","n":32}"#);
    for _ in 0..2_000 {
        open.pop();
        m.game.open_votes(&open);
        m.ticks(1);
        for line in m.told() {
            let id = line.split("\"vote_id\":\"").nth(1).map(|rest| rest.trim_end_matches("\"}").to_owned());
            open.extend(id.map(|id| crate::games::OpenVote { id: id.parse().unwrap(), template: "t".into() }));
        }
        m.game.open_votes(&open);
    }
    assert_eq!(m.view(None), r#"{"n":2032}"#);
}

#[test]
fn what_is_in_sight_of_storage_is_bounded_and_what_was_seen_last_stays() {
    let text = "function tick(state)
           state.n = (state.n or 0) + 1
           if state.n <= 40 then game.storage.set('c', 'k' .. state.n, ('x'):rep(60000)) end
           if state.n == 41 then
             state.old, state.new = game.storage.get('c', 'k1').error, #(game.storage.get('c', 'k40').ok or '')
           end
           return state
         end";
    let mut m = Played::new(text);
    m.ticks(41);
    assert_eq!(m.view(None), r#"{"n":41,"new":60000,"old":"loading"}"#);
}
