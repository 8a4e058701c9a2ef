//! What a queue does, told as queues: a script of tickets on the left, who played with whom on the right.

use serde_json::{Map, Value, json};

use super::*;
use crate::engine::modes::{Matchmaking, Players};
use crate::ids::{MatchId, PlayerId, TicketId};

/// The rules of a `[matchmaking]` table, for matches of 1 to 64.
pub(super) fn rules(text: &str) -> Rules {
    let table: Matchmaking = toml::from_str(text).expect("a matchmaking table");
    Rules::new(&table, Players { min: 1, max: 64 }).expect("good rules")
}

/// The nth player and ticket; a party's members are numbered from a thousand times its ticket.
pub(super) fn player(number: u128) -> PlayerId {
    PlayerId::from_u128(number)
}
fn ticket_id(letter: char) -> TicketId {
    TicketId::from_u128(letter as u128)
}
fn letter(ticket: &Ticket) -> char {
    char::from_u32(ticket.ticket_id.as_u128() as u32).expect("a letter")
}

/// Runs a script and tells what came of it. Words of a script, separated by blanks:
/// `!` holds the pool and `.` lets it go on; `a` queues ticket a, `b*3` a party of three, `c=1200` of that skill, `d/eu` from a region, `e{"map":"x"}` with
/// properties; `@5000` lets time pass; `-a` removes, `~a` freezes, `^a` unfreezes it, `>a` sets it aside, `<a` takes it up. Told: `ab` these tickets form a
/// group, `a+3` with three bots, `[ad][bc]` in teams, `x:a` it expired, `@5000:` when it happened if not at 0.
fn told(pool: &mut Pool, script: &str) -> String {
    let mut story = Vec::new();
    let mut now_ms = 0;
    for word in script.split_whitespace() {
        let name = word.trim_start_matches(['-', '~', '^', '>', '<']).chars().next().expect("a word");
        let of = player(name as u128 * 1_000);
        match word.as_bytes()[0] {
            b'!' => pool.hold(true),
            b'.' => pool.hold(false),
            b'@' => now_ms = word[1..].parse().expect("milliseconds"),
            b'-' => drop(pool.remove(ticket_id(name), of).expect("it waits")),
            b'~' => drop(pool.freeze(of).expect("it waits")),
            b'^' => drop(pool.unfreeze(of).expect("it waits")),
            b'>' => drop(pool.set_aside(of).expect("it waits")),
            b'<' => drop(pool.take_up(of).expect("it waits")),
            _ => drop(pool.add(ticket(pool.rules(), word), now_ms).expect("it is taken")),
        }
        let polled = pool.poll(now_ms);
        let at = if now_ms > 0 { format!("@{now_ms}:") } else { String::new() };
        story.extend(polled.expired.iter().map(|ticket| format!("{at}x:{}", letter(ticket))));
        story.extend(polled.groups.iter().map(|group| at.clone() + &told_group(group)));
    }
    story.join(" ")
}

#[test]
fn new_rules_hold_for_those_who_wait_already() {
    let gone = |pool: &mut Pool, text: &str| pool.set_rules(rules(text)).iter().map(letter).collect::<String>();
    let mut pool = Pool::new(rules("size = 3"), 8);
    assert_eq!(told(&mut pool, "a b"), "");
    assert_eq!(pool.players_needed(ticket_id('a')), 1);
    assert_eq!(gone(&mut pool, "size = 2"), "");
    assert_eq!((told(&mut pool, "@1"), pool.len()), ("@1:ab".into(), 0));
    // What one match has no room for any more goes; who is away stays so, and everybody their turn.
    let mut pool = Pool::new(rules("size = 6"), 8);
    assert_eq!(told(&mut pool, "x*3 b ~b c d -d"), "");
    assert_eq!(gone(&mut pool, "size = 2"), "x");
    assert_eq!(told(&mut pool, "@1 ^b e"), "@1:bc");
    // By another strategy, another window, another part of the pool.
    for (before, after, expected) in [
        ("strategy = 'skill'\nsize = 2\nwindow = 10\nwiden = { per_s = 0, max = 10 }", "size = 2", "@1:ab"),
        (
            "strategy = 'skill'\nsize = 2\nwindow = 10\nwiden = { per_s = 0, max = 10 }",
            "strategy = 'skill'\nsize = 2\nwindow = 900\nwiden = { per_s = 0, max = 900 }",
            "@1:ab",
        ),
        ("size = 3\nexpire_s = 9", "size = 3\nexpire_s = 1", "@1000:x:a @1000:x:b"),
        ("size = 2\nregion = 'require'", "size = 2\nregion = 'ignore'", "@1:ab"),
    ] {
        let mut pool = Pool::new(rules(before), 8);
        assert_eq!(told(&mut pool, "a=100/eu b=900/us"), "", "{before}");
        assert_eq!(gone(&mut pool, after), "");
        let at = if expected.starts_with("@1:") { "@1" } else { "@1000" };
        assert_eq!(told(&mut pool, at), expected, "{before} -> {after}");
    }
    // What their tickets did not say, no rule can go by.
    for (before, after) in [
        ("size = 2", "size = 2\nranges = { ping = 20 }"),
        ("size = 2", "size = 2\nrequire = ['map']"),
        ("size = 2", "size = 2\nregion = 'prefer'"),
        ("size = 2", "size = 2\nstrategy = 'skill'\nwindow = 10"),
    ] {
        let mut pool = Pool::new(rules(before), 8);
        assert_eq!(told(&mut pool, "a"), "");
        assert_eq!(gone(&mut pool, after), "a", "{after}");
        assert!(pool.is_empty());
        let late = ticket(&rules(before), "b");
        assert!(!pool.put_back(late, 0), "one that was on its way to a match, neither");
    }
}

#[test]
fn a_pool_that_is_held_forms_no_group_and_loses_nobodys_turn() {
    let mut pool = Pool::new(rules("size = 2\nexpire_s = 9"), 8);
    assert_eq!(told(&mut pool, "! a b c @1000 d -b"), "");
    assert_eq!(pool.why_not(ticket_id('a')).map(|why| why.code()), Some("server_busy"));
    assert_eq!(pool.next_wake_ms(), Some(9_000), "only time can change something: no look is due at once");
    assert_eq!(told(&mut pool, "@1000 ."), "@1000:ac");
    // Expiry goes on, and what came and went is not kept.
    assert_eq!(told(&mut pool, "! @2000 e @9999"), "");
    assert_eq!(told(&mut pool, "@10000"), "@10000:x:d");
    // Who waits is sent to a match that plays, the oldest first, and the others meet once that is over.
    let mut pool = Pool::new(rules("size = 2\nbackfill = true"), 8);
    assert_eq!(told(&mut pool, "! a b c"), "");
    pool.backfill(Backfill { match_id: MatchId::from_u128(7), seats: vec![1], playing: None }).expect("it may ask");
    assert_eq!(told(&mut pool, "! d"), "a>7");
    assert_eq!(told(&mut pool, "."), "bc");
}

fn told_group(group: &Group) -> String {
    let by_player = |player: &PlayerId| char::from_u32((player.as_u128() / 1_000) as u32).expect("a letter");
    let mut text: String = match group.teams.is_empty() {
        true => group.tickets.iter().map(letter).collect(),
        false => {
            group.teams.iter().map(|team| format!("[{}]", team.iter().map(by_player).collect::<String>())).collect()
        }
    };
    if group.bots > 0 {
        text += &format!("+{}", group.bots);
    }
    if let Some(match_id) = group.backfill {
        text += &format!(">{}", match_id.as_u128());
    }
    text
}

fn ticket(rules: &Rules, word: &str) -> Ticket {
    let (head, object) = word.split_once('{').map_or((word, "{}".into()), |(head, tail)| (head, format!("{{{tail}")));
    let mut properties: Map<String, Value> = serde_json::from_str(&object).expect("properties");
    let mut party = 1;
    let mut rest = &head[1..];
    while let Some(sign) = rest.chars().next() {
        let end = rest[1..].find(['*', '=', '/']).map_or(rest.len(), |end| end + 1);
        let value = &rest[1..end];
        match sign {
            '*' => party = value.parse().expect("a party size"),
            '=' => drop(properties.insert("skill".into(), json!(value.parse::<i64>().expect("a skill")))),
            _ => drop(properties.insert("region".into(), json!(value))),
        }
        rest = &rest[end..];
    }
    let name = head.chars().next().expect("a letter");
    let players = (0..party).map(|member| player(name as u128 * 1_000 + member)).collect();
    let traits = rules.traits(&properties).expect("good properties");
    Ticket { ticket_id: ticket_id(name), players, traits, added_ms: 0 }
}

fn check(table: &str, script: &str, expected: &str) {
    let mut pool = Pool::new(rules(table), 1_000);
    assert_eq!(told(&mut pool, script), expected, "\n  rules: {table}\n  script: {script}");
}

#[test]
fn fill_is_strictly_first_come() {
    check("size = 2", "a b c d e", "ab cd");
    check("size = 3", "a b c d e f", "abc def");
    check("size = 1", "a b", "a b");
    check("size = 2", "a -a b c", "bc");
    check("teams = [2, 2]", "a b c d", "[ac][bd]");
}

#[test]
fn forty_tickets_queued_in_order_give_twenty_pairs_of_neighbours() {
    let rules = rules("size = 2");
    let mut pool = Pool::new(rules, 1_000);
    for number in 0..40 {
        let players = vec![player(number)];
        let ticket_id = TicketId::from_u128(number);
        pool.add(Ticket { ticket_id, players, traits: Traits::default(), added_ms: 0 }, 0).expect("it is taken");
    }
    let groups = pool.poll(0).groups;
    let pairs: Vec<Vec<u128>> =
        groups.iter().map(|group| group.players.iter().map(|player| player.as_u128()).collect()).collect();
    assert_eq!(pairs, (0..20).map(|pair| vec![2 * pair, 2 * pair + 1]).collect::<Vec<_>>());
}

#[test]
fn parties_are_never_split() {
    check("size = 4", "a*3 b*2 c", "ac");
    check("size = 4", "a*2 b c*2", "ac");
    check("size = 5", "a*3 b*3 c*2", "ac");
    check("teams = [2, 2]", "a b*2 c", "[bb][ac]");
    check("teams = [3, 3]", "a*2 b*2 c*2 d e", "[aad][bbe]");
    check("teams = [1, 3]", "a*3 b*2 c", "[c][aaa]");
    check("strategy = 'skill'\nteams = [2, 2]", "a=10 b=20 c=30 d=40", "[ad][bc]");
    let small_window_between = "strategy = 'skill'\nteams = [1, 2]\nwindow = 40\nwiden = { per_s = 20, max = 100 }";
    check(small_window_between, "a*2=140 @2000 b*2=120 c=60", "@2000:[c][aa]");
    check("strategy = 'skill'\nsize = 4\nwindow = 50", "a*3=100 b*2=110 c=300 d=140", "ad");
}

#[test]
fn skill_widens_with_the_longest_waiter() {
    let rules = "strategy = 'skill'\nsize = 2\nwindow = 100\nwiden = { per_s = 20, max = 300 }";
    check(rules, "a=1000 b=1101 c=1200", "bc");
    check(rules, "a=1000 b=1100", "ab");
    check(rules, "a=1000 b=1101 @999 @1000", "@1000:ab");
    check(rules, "a=1000 b=1200 @4999 @5000", "@5000:ab");
    check(rules, "a=1000 @5000 b=1200", "@5000:ab");
    check(rules, "a=1000 b=1301 @59999 @60000", "@60000:x:a @60000:x:b");
    check(rules, "a=1000 @10000 b=1301 c=1299", "@10000:ac");
    check(rules, "a=1000 @10000 b=1300 c=1299", "@10000:ab");
    let three = "strategy = 'skill'\nsize = 3\nwindow = 100\nwiden = { per_s = 0, max = 100 }";
    check(three, "a=100 b=0 c=200", "");
    check(three, "a=100 b=0 c=200 d=50", "abd");
    check(three, "a=100 b=190 c=20 d=110", "abd");
}

#[test]
fn regions_are_ignored_preferred_or_required() {
    check("size = 2\nregion = 'ignore'", "a/eu b/us", "ab");
    check("size = 2\nregion = 'require'", "a/eu b/us c/eu @59999", "ac");
    check("size = 2\nregion = 'prefer'", "a/eu b/us c/eu", "ac");
    check("size = 2\nregion = 'prefer'", "a/eu b/us @29999 @30000", "@30000:ab");
    check("size = 2\nregion = 'prefer'", "a/eu @30000 b/us", "@30000:ab");
    check("size = 2\nregion = 'prefer'", "a/eu @10000 b/us @29000 c/us", "@29000:bc");
    check("size = 2\nregion = 'prefer'", "a b/us c", "ac");
    check("size = 2\nregion = 'prefer'\nexpire_s = 0", "a/eu b/us @29999 @30000", "@30000:ab");
}

#[test]
fn ranges_and_required_properties_hold() {
    let ping = "size = 2\nranges = { ping = 50 }";
    check(ping, r#"a{"ping":10} b{"ping":90} c{"ping":60}"#, "ac");
    let two = "size = 2\nranges = { level = 5, ping = 50 }";
    check(two, r#"a{"ping":10,"level":1} b{"ping":20,"level":9} c{"ping":10,"level":6}"#, "ac");
    check(two, r#"a{"ping":10,"level":1} b{"ping":99,"level":1} c{"ping":60,"level":1}"#, "ac");
    let map = "size = 2\nrequire = ['map']";
    check(map, r#"a{"map":"x"} b{"map":"y"} c{"map":"x"} d e"#, "ac de");
    check(map, r#"a{"map":"1"} b{"map":1}"#, "");
}

#[test]
fn bots_fill_up_after_their_time() {
    let rules = "size = 4\nbots_after_s = 10";
    check(rules, "a b @9999 @10000", "@10000:ab+2");
    check(rules, "a*3 b*2 @9999 @10000 @10001", "@10000:a+1 @10000:b+2");
    check(rules, "a @5000 b @10000 c @15000 @20000", "@10000:ab+2 @20000:c+3");
    check("teams = [2, 2]\nbots_after_s = 1", "a*2 b @1000", "@1000:[aa][b]+1");
    let skill = "strategy = 'skill'\nsize = 3\nbots_after_s = 2\nwiden = { per_s = 0, max = 0 }";
    check(skill, "a=0 b=99 c=500 @2000", "@2000:ab+1 @2000:c+2");
}

#[test]
fn tickets_expire_to_the_millisecond() {
    check("size = 2", "a @59999 b", "@59999:ab");
    check("size = 2", "a @60000 b", "@60000:x:a");
    check("size = 2", "a ~a @59999 @60000", "@60000:x:a");
    check("size = 2\nexpire_s = 0", "a @99999999 b", "@99999999:ab");
}

#[test]
fn a_frozen_ticket_keeps_its_place_and_matches_nobody() {
    check("size = 2", "a ~a b c d ^a", "bc ad");
    check("size = 2", "a ~a b ^a c", "ab");
    check("size = 3", "a ~a b c d ^a e f", "bcd aef");
    check("strategy = 'skill'\nsize = 2", "a=5 ~a b=5 ^a", "ab");
}

#[test]
fn a_ticket_set_aside_waits_until_its_player_is_known_to_have_no_seat() {
    check("size = 2", "a >a b c d <a", "bc ad");
    // Coming back does not bring somebody back who is being seated, nor the other way round.
    check("size = 2", "a >a ~a b ^a c", "bc");
    check("size = 2", "a >a ~a b <a c", "bc");
    check("size = 2", "a >a ~a b <a ^a", "ab");
    check("size = 2\nexpire_s = 9", "a >a @9000", "@9000:x:a");
}

#[test]
fn a_party_is_frozen_until_all_of_it_is_back() {
    let mut pool = Pool::new(rules("size = 4"), 10);
    assert_eq!(told(&mut pool, "a*2"), "");
    let (first, second) = (player('a' as u128 * 1_000), player('a' as u128 * 1_000 + 1));
    assert_eq!((pool.freeze(first), pool.freeze(second)), (Some(ticket_id('a')), Some(ticket_id('a'))));
    pool.unfreeze(first);
    assert_eq!(told(&mut pool, "b*2"), "");
    assert_eq!(pool.why_not(ticket_id('a')), Some(WhyNot::Frozen));
    pool.unfreeze(second);
    assert_eq!(told(&mut pool, ""), "", "nothing happens before a look");
    assert_eq!(pool.poll(0).groups.len(), 1);
    assert_eq!(pool.freeze(first), None);
}

#[test]
fn running_matches_get_the_oldest_who_fit() {
    let request =
        |number, seats: &[u32]| Backfill { match_id: MatchId::from_u128(number), seats: seats.to_vec(), playing: None };
    let mut pool = Pool::new(rules("size = 4\nbackfill = true"), 10);
    assert_eq!(told(&mut pool, "a*3 b c"), "ab");
    assert_eq!(pool.backfill(request(7, &[2])), Ok(()));
    assert_eq!(told(&mut pool, "@1 d"), "@1:c>7 @1:d>7");
    assert_eq!(told(&mut pool, "@2 e"), "", "both seats are taken");
    assert_eq!(pool.backfill(request(7, &[1])), Ok(()));
    pool.cancel_backfill(MatchId::from_u128(7));
    assert_eq!(told(&mut pool, "@3 f"), "");
    assert_eq!(pool.backfill(request(8, &[1, 1])), Err(BackfillRefused::Seats { teams: 1 }));
    assert_eq!(pool.backfill(request(8, &[0])), Err(BackfillRefused::Seats { teams: 1 }));
    assert_eq!(pool.backfill(request(8, &[5])), Err(BackfillRefused::Seats { teams: 1 }));
    let mut off = Pool::new(rules("size = 4"), 10);
    assert_eq!(off.backfill(request(7, &[1])), Err(BackfillRefused::Off));

    let mut pool = Pool::new(rules("strategy = 'skill'\nteams = [2, 2]\nbackfill = true\nwindow = 100"), 10);
    let playing = |skills: &[i64]| {
        let players: Vec<_> = skills.iter().map(|skill| Traits { skill: skill * 1_000, ..Traits::default() }).collect();
        Playing::of(&players)
    };
    let request = Backfill { match_id: MatchId::from_u128(9), seats: vec![1, 2], playing: playing(&[900, 1_100]) };
    assert_eq!(pool.backfill(request), Ok(()));
    assert_eq!(told(&mut pool, "a=1200 b*2=950 c=1100"), "[][bb]>9 [c][]>9");
    assert_eq!(told(&mut pool, "@5000"), "", "the window reaches the match, but its seats are taken");
    assert_eq!(playing(&[]), None, "a match nobody came to by the queue takes anyone");
}

#[test]
fn nobody_is_sent_to_a_match_that_does_not_take_them() {
    let mut pool = Pool::new(rules("size = 2\nbackfill = true"), 10);
    let request = |number| Backfill { match_id: MatchId::from_u128(number), seats: vec![2], playing: None };
    let barred = || vec![player('a' as u128 * 1_000), player('c' as u128 * 1_000 + 1)];
    assert_eq!(pool.backfill_without(request(7), barred()), Ok(()));
    assert_eq!(told(&mut pool, "a c*2"), "c", "one of a party is enough, and they play elsewhere");
    assert_eq!(told(&mut pool, "@1 b"), "@1:b>7", "whoever comes later gets the seat");
    assert_eq!(pool.backfill_without(request(7), barred()), Ok(()));
    assert_eq!(told(&mut pool, "@2"), "", "a waits on");
    assert_eq!(pool.backfill(request(8)), Ok(()));
    assert_eq!(told(&mut pool, "@3"), "@3:a>8");
}

#[test]
fn a_running_match_is_filled_by_its_modes_rules() {
    let check = |table: &str, playing: &[&str], script: &str, expected: &str| {
        let mut pool = Pool::new(rules(&format!("size = 4\nbackfill = true\n{table}")), 10);
        let players: Vec<_> = playing.iter().map(|word| ticket(pool.rules(), word).traits).collect();
        let request = Backfill { match_id: MatchId::from_u128(7), seats: vec![2], playing: Playing::of(&players) };
        assert_eq!(pool.backfill(request), Ok(()));
        assert_eq!(told(&mut pool, script), expected, "\n  rules: {table}\n  playing: {playing:?}");
    };
    check("region = 'require'", &["p/eu", "q/eu"], "a/us b/eu", "b>7");
    check("region = 'prefer'", &["p/eu"], "a/us b/eu @29999 @30000", "b>7 @30000:a>7");
    check("require = ['map']", &[r#"p{"map":"x"}"#], r#"a{"map":"y"} b{"map":"x"}"#, "b>7");
    let skill = "strategy = 'skill'\nwindow = 100\nwiden = { per_s = 20, max = 300 }";
    check(skill, &["p=900", "q=1100"], "a=1101 b=1100 @999 @1000", "b>7 @1000:a>7");
    // Within the range of everybody who plays, not of their mean.
    let ping = "ranges = { ping = 50 }";
    check(ping, &[r#"p{"ping":10}"#, r#"q{"ping":50}"#], r#"a{"ping":61} b{"ping":60} c{"ping":0}"#, "b>7 c>7");
    check(
        &format!("{ping}\n{skill}"),
        &[r#"p=5{"ping":10}"#],
        r#"a=5{"ping":61} b=106{"ping":9} c=5{"ping":60}"#,
        "c>7",
    );
}

#[test]
fn a_group_that_came_to_nothing_goes_back_in_its_turn() {
    let mut pool = Pool::new(rules("size = 3"), 10);
    assert_eq!(told(&mut pool, "a b @5000"), "");
    let c = ticket(pool.rules(), "c");
    pool.add(c, 5_000).expect("it is taken");
    let mut group = pool.poll(5_000).groups.pop().expect("a group");
    assert_eq!(told(&mut pool, "@6000 d e"), "", "d and e came meanwhile");
    // b is gone; a and c are as old as they were, and play before d and e.
    for nth in [2, 0] {
        assert!(pool.put_back(group.tickets[nth].clone(), group.turns[nth]));
        assert!(!pool.put_back(group.tickets[nth].clone(), group.turns[nth]), "once");
    }
    assert_eq!(pool.tickets().map(letter).collect::<String>(), "acde");
    assert_eq!(told(&mut pool, "@7000"), "@7000:acd");
    assert_eq!(told(&mut pool, "@65999 @66000"), "@66000:x:e", "e expires by its own time");

    let mut pool = Pool::new(rules("size = 2"), 10);
    assert_eq!(told(&mut pool, "a"), "");
    let b = ticket(pool.rules(), "b");
    pool.add(b, 9).expect("it is taken");
    group = pool.poll(9).groups.pop().expect("a group");
    assert!(pool.put_back(group.tickets[0].clone(), group.turns[0]));
    assert_eq!(told(&mut pool, "@59999 @60000"), "@60000:x:a", "what was put back expires by its first time");
}

#[test]
fn whoever_waits_gets_that_ticket_back() {
    let mut pool = Pool::new(rules("size = 3"), 2);
    let add = |pool: &mut Pool, word: &str| {
        let ticket = ticket(pool.rules(), word);
        pool.add(ticket, 0)
    };
    let a = Added { ticket_id: ticket_id('a'), already_queued: false };
    assert_eq!(add(&mut pool, "a*2"), Ok(a));
    let mut again = ticket(pool.rules(), "z");
    again.players = vec![player('a' as u128 * 1_000 + 1)];
    assert_eq!(pool.add(again.clone(), 0), Ok(Added { already_queued: true, ..a }));
    again.players = vec![player(1), player('a' as u128 * 1_000)];
    assert_eq!(pool.add(again.clone(), 0), Err(AddRefused::PartyMemberUnavailable(player('a' as u128 * 1_000))));
    again.players = vec![player(1), player(1)];
    assert_eq!(pool.add(again.clone(), 0), Err(AddRefused::PartyRepeats));
    again.players = vec![];
    assert_eq!(pool.add(again, 0), Err(AddRefused::PartyRepeats));
    assert_eq!(add(&mut pool, "b*4"), Err(AddRefused::PartyTooLarge { size: 4, max: 3 }));
    assert!(add(&mut pool, "b*2").is_ok());
    assert_eq!(add(&mut pool, "c"), Err(AddRefused::QueueFull { tickets_max: 2 }));
    assert_eq!(pool.remove(ticket_id('a'), player(1)), Err(RemoveRefused::NotOwner));
    assert_eq!(pool.remove(ticket_id('x'), player(1)), Err(RemoveRefused::NotFound));
    assert!(pool.remove(ticket_id('a'), player('a' as u128 * 1_000 + 1)).is_ok(), "any of the party may");
    assert_eq!(pool.withdraw_player(player('b' as u128 * 1_000 + 1)).map(|ticket| letter(&ticket)), Some('b'));
    assert!(pool.is_empty());
    let mut alone = Pool::new(rules("size = 3\nparties = false"), 2);
    assert_eq!(add(&mut alone, "a*2"), Err(AddRefused::PartiesOff));
}

#[test]
fn a_ticket_can_say_why_it_waits() {
    let why = |table: &str, script: &str, expected: &str| {
        let mut pool = Pool::new(rules(table), 100);
        assert_eq!(told(&mut pool, script), "", "{script}");
        let why = pool.why_not(ticket_id('a')).expect("a waits");
        assert_eq!(format!("{}: {why}", why.code()), expected, "\n  rules: {table}\n  script: {script}");
    };
    why("size = 4", "a b", "too_few: 2 more players must queue");
    why(
        "size = 2",
        "a >a b",
        "seating: one of its players is being seated in another match; it goes on from its place if that match has them not",
    );
    why("size = 2", "a ~a >a", "frozen: one of its players is disconnected; it keeps its place meanwhile");
    why("size = 2", "a ~a", "frozen: one of its players is disconnected; it keeps its place meanwhile");
    why(
        "size = 2\nrequire = ['map']",
        r#"a{"map":"x"} b{"map":"y"}"#,
        "properties: 1 more player must queue with the same properties",
    );
    why("size = 2\nregion = 'require'", "a/eu b/us", "region: 1 more player must queue in its region");
    why(
        "size = 2\nregion = 'prefer'",
        "a/eu b/us @10000",
        "region: 1 more player must queue in its region, or any region in 20 s",
    );
    why("size = 4", "a*3 b*2", "party_size: the parties that fit it do not add up to a match of 4 without being split");
    why(
        "strategy = 'skill'\nsize = 2\nwindow = 100\nwiden = { per_s = 20, max = 600 }",
        "a=1000 b=2000 c=700 @1500",
        "window: 1 more player must queue within 120 points of skill; the nearest is 300 away; the window widens in 1 s",
    );
    why(
        "strategy = 'skill'\nsize = 3\nwindow = 100\nwiden = { per_s = 0, max = 0 }",
        "a=100 b=0 c=200",
        "window: 1 more player must queue within 100 points of skill",
    );
    why(
        "size = 2\nranges = { ping = 50 }",
        r#"a{"ping":0} b{"ping":51}"#,
        "ranges: 1 more player must queue within the mode's ranges",
    );
    why(
        "strategy = 'skill'\nsize = 2\nranges = { ping = 50 }",
        r#"a{"ping":0} b{"ping":51}"#,
        "ranges: 1 more player must queue within the mode's ranges",
    );
}

#[test]
fn a_ticket_knows_its_place_and_its_wait() {
    let mut pool = Pool::new(rules("size = 5"), 100);
    assert_eq!(told(&mut pool, "a b @1000 c -a"), "");
    assert_eq!(pool.players_needed(ticket_id('c')), 3);
    let status = pool.status(ticket_id('c'), 4_000).expect("c waits");
    assert_eq!((status.position, status.waited_ms, status.estimate_ms), (2, 3_000, None));
    assert_eq!((status.expires_ms, status.frozen), (Some(61_000), false));
    assert_eq!(told(&mut pool, "@9000 d e f @10000 g"), "@9000:bcdef");
    assert_eq!(pool.status(ticket_id('g'), 10_000).and_then(|status| status.estimate_ms), Some(0));
    assert_eq!(pool.status(ticket_id('g'), 10_500).and_then(|status| status.estimate_ms), Some(8_500));
    assert_eq!(pool.players_needed(ticket_id('b')), 0);
    assert_eq!(pool.tickets().map(letter).collect::<String>(), "g");
}

#[test]
fn the_pool_sleeps_until_time_alone_could_matter() {
    let wakes = |table: &str, script: &str, expected: Option<u64>| {
        let mut pool = Pool::new(rules(table), 100);
        told(&mut pool, script);
        assert_eq!(pool.next_wake_ms(), expected, "\n  rules: {table}\n  script: {script}");
    };
    wakes("size = 2", "", None);
    wakes("size = 2", "a", Some(60_000));
    wakes("size = 2", "a b", None);
    wakes("size = 2\nexpire_s = 0", "a", None);
    wakes("size = 2\nbots_after_s = 10", "@7 a", Some(10_007));
    wakes("size = 2\nregion = 'prefer'", "a/eu", Some(30_000));
    wakes("strategy = 'skill'\nsize = 2", "@300 a=0", Some(1_300));
    wakes("strategy = 'skill'\nsize = 2", "@300 a=0 @1400", Some(2_300));
    wakes("strategy = 'skill'\nsize = 2\nwiden = { per_s = 250, max = 600 }", "a=0 @2000", Some(60_000));
    let mut pool = Pool::new(rules("size = 2"), 100);
    told(&mut pool, "@5 a");
    let another = ticket(pool.rules(), "b");
    pool.add(another, 9).expect("it is taken");
    assert_eq!(pool.next_wake_ms(), Some(9), "what was added waits for a look");
}
