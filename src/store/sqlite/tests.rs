//! The store as its callers see it: through the trait, in memory and on disk.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use super::*;

/// Calls and waits.
fn now<T: Send + 'static>(call: impl FnOnce(Done<T>)) -> Result<T, StoreError> {
    let (tell, told) = channel();
    call(Box::new(move |outcome| tell.send(outcome).expect("the test is waiting")));
    told.recv().expect("every call is answered")
}

/// A folder of its own, gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tessera-store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn as_str(&self) -> &str {
        self.0.to_str().expect("a plain path")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(7)
}

fn player_named(name: &str, rng: &mut ChaCha8Rng) -> NewPlayer {
    NewPlayer {
        id: PlayerId::new(1_000, rng),
        username: name.into(),
        username_key: name.to_lowercase(),
        skeleton: name.to_lowercase().replace('1', "l"),
        display_name: name.into(),
        password_hash: Some("$argon2id$".into()),
        created_unix_ms: 1_000,
    }
}

/// Tokens whose hashes are `n` repeated, good until 10,000 and 20,000.
fn tokens(player_id: PlayerId, family: u8, n: u8) -> NewTokens {
    NewTokens { player_id, family: [family; 16], pair: pair(n), issued_unix_ms: 1_000 }
}

fn pair(n: u8) -> TokenPair {
    TokenPair {
        access: [n; 32],
        access_expires_unix_ms: 10_000,
        refresh: [n + 100; 32],
        refresh_expires_unix_ms: 20_000,
    }
}

fn line(channel: &str, content: &str, rng: &mut ChaCha8Rng) -> ChatRow {
    ChatRow {
        message_id: MessageId::new(1_000, rng),
        channel_id: channel.into(),
        seq: 0,
        sender_id: None,
        content: content.into(),
        sent_unix_ms: 1_000,
        edited_unix_ms: None,
    }
}

fn memory() -> SqliteStore {
    SqliteStore::open(":memory:").expect("memory can be had")
}

#[test]
fn names_are_unique_by_letter_and_by_look() {
    let (store, mut rng) = (memory(), rng());
    for (name, expected) in [
        ("Bill", Creation::Created),
        ("bILL", Creation::UsernameTaken),
        ("bi1l", Creation::LookAlike),
        ("bob", Creation::Created),
    ] {
        let player = player_named(name, &mut rng);
        let tokens = tokens(player.id, name.len() as u8, name.as_bytes()[1]);
        assert_eq!(now(|done| store.create_player(player, tokens, done)), Ok(expected), "{name}");
    }
    let found = now(|done| store.player_by_username("bill".into(), done)).unwrap().unwrap();
    assert_eq!((found.username.as_str(), found.guest, found.ban), ("Bill", false, None));
}

#[test]
fn a_refresh_token_works_once_and_a_second_time_ends_its_family() {
    let (store, mut rng) = (memory(), rng());
    let player = player_named("ada", &mut rng);
    let id = player.id;
    now(|done| store.create_player(player, tokens(id, 1, 1), done)).unwrap();
    now(|done| store.issue_tokens(tokens(id, 2, 2), done)).unwrap();
    let rotate = |presented: u8, next: u8, now_unix_ms| {
        now(|done| {
            store.rotate_refresh(Rotate { presented: [presented + 100; 32], now_unix_ms, next: pair(next) }, done)
        })
        .unwrap()
    };
    let opens = |n: u8| now(|done| store.access_token([n; 32], done)).unwrap().is_some();
    let first = SignIn { player_id: id, family: [1; 16] };

    assert_eq!(rotate(9, 10, 2_000), Rotation::Unknown);
    assert_eq!(rotate(1, 3, 20_000), Rotation::Expired);
    assert_eq!(rotate(1, 3, 2_000), Rotation::Rotated(first));
    assert!(opens(1) && opens(3), "the old access token runs out by itself");
    assert_eq!(rotate(1, 4, 2_000), Rotation::Reused(first));
    assert!(!opens(1) && !opens(3) && !opens(4), "the family is revoked");
    assert_eq!(rotate(3, 5, 2_000), Rotation::Unknown, "with its newest refresh token");
    assert!(opens(2), "another sign-in of the same player lives on");
}

#[test]
fn revoking_and_banning_say_which_sign_ins_ended() {
    let (store, mut rng) = (memory(), rng());
    let player = player_named("eve", &mut rng);
    let id = player.id;
    now(|done| store.create_player(player, tokens(id, 1, 1), done)).unwrap();
    for n in 2..=4 {
        assert_eq!(now(|done| store.issue_tokens(tokens(id, n, n), done)), Ok(Issue::Issued));
    }
    let ended = |family: u8| SignIn { player_id: id, family: [family; 16] };
    assert_eq!(now(|done| store.revoke(Revoke::Access([1; 32]), done)), Ok(vec![ended(1)]));
    assert_eq!(now(|done| store.revoke(Revoke::Refresh([102; 32]), done)), Ok(vec![ended(2)]));
    assert_eq!(now(|done| store.revoke(Revoke::Refresh([102; 32]), done)), Ok(vec![]));

    let ban = BanRow { player_id: id, reason: "cheating".into(), until_unix_ms: Some(5_000), created_unix_ms: 1_000 };
    assert_eq!(now(|done| store.ban(ban.clone(), done)), Ok(Some(vec![ended(3), ended(4)])));
    assert_eq!(now(|done| store.issue_tokens(tokens(id, 5, 5), done)), Ok(Issue::Banned(ban.clone())));
    // What was handed out before it tells why as long as it holds, and is worth nothing afterwards.
    let rotate = |now_unix_ms| {
        now(|done| store.rotate_refresh(Rotate { presented: [103; 32], now_unix_ms, next: pair(9) }, done))
    };
    assert_eq!(rotate(4_999), Ok(Rotation::Banned(ban.clone())));
    assert_eq!(rotate(5_000), Ok(Rotation::Unknown));
    let shown = |token: u8| now(|done| store.access_token([token; 32], done)).unwrap().map(|row| row.player.ban);
    assert_eq!(shown(3), Some(Some(ban.clone())));
    let later = |n| NewTokens { issued_unix_ms: 5_000, ..tokens(id, n, n) };
    assert_eq!(now(|done| store.issue_tokens(later(6), done)), Ok(Issue::Issued), "the ban has run out");
    assert_eq!((shown(3), shown(6)), (None, Some(None)));
    assert_eq!(now(|done| store.unban(id, done)), Ok(false));
    for lifted in [true, false] {
        assert_eq!(now(|done| store.ban(ban.clone(), done)), Ok(Some(vec![ended(6)])));
        match lifted {
            true => assert_eq!(now(|done| store.unban(id, done)), Ok(true)),
            false => assert!(now(|done| store.sweep(5_000, done)).unwrap() > 0),
        }
        assert_eq!(shown(6), None);
        assert_eq!(now(|done| store.issue_tokens(later(6), done)), Ok(Issue::Issued));
    }
    let stranger = BanRow { player_id: PlayerId::new(9, &mut rng), ..ban };
    assert_eq!(now(|done| store.ban(stranger, done)), Ok(None));
}

#[test]
fn a_guest_is_made_once_per_device_and_claimed_once() {
    let (store, mut rng) = (memory(), rng());
    let guest = NewPlayer { password_hash: None, ..player_named("guest_1", &mut rng) };
    let id = guest.id;
    let device = DeviceRow { device: [1; 32], secret: [2; 32], player_id: id };
    assert_eq!(now(|done| store.create_guest(guest, device.clone(), tokens(id, 1, 1), done)), Ok(Creation::Created));
    let second = NewPlayer { password_hash: None, ..player_named("guest_2", &mut rng) };
    assert_eq!(
        now(|done| store.create_guest(second, device.clone(), tokens(id, 2, 2), done)),
        Ok(Creation::DeviceTaken)
    );
    assert_eq!(now(|done| store.device([1; 32], done)), Ok(Some(device.clone())));

    let other = player_named("ada", &mut rng);
    let other_tokens = tokens(other.id, 3, 3);
    now(|done| store.create_player(other, other_tokens, done)).unwrap();
    let claim = |name: &str| Claim {
        player_id: id,
        username: name.into(),
        username_key: name.into(),
        skeleton: name.into(),
        display_name: name.into(),
        password_hash: "$argon2id$".into(),
    };
    let taken = now(|done| store.claim_guest(claim("ada"), tokens(id, 4, 4), done));
    assert_eq!(taken, Ok((Creation::UsernameTaken, vec![])));
    let ended = vec![SignIn { player_id: id, family: [1; 16] }];
    assert_eq!(now(|done| store.claim_guest(claim("grace"), tokens(id, 4, 4), done)), Ok((Creation::Created, ended)));
    assert_eq!(
        now(|done| store.device([1; 32], done)),
        Ok(Some(device)),
        "the device is told what became of its guest"
    );
    assert_eq!(now(|done| store.access_token([1; 32], done)), Ok(None), "the guest's tokens open nothing any more");
    let row = now(|done| store.access_token([4; 32], done)).unwrap().unwrap();
    assert_eq!((row.player.username.as_str(), row.player.guest), ("grace", false));
    let again = now(|done| store.claim_guest(claim("hopper"), tokens(id, 5, 5), done));
    assert_eq!(again, Ok((Creation::NotAGuest, vec![])));
}

#[test]
fn chat_is_numbered_per_channel_and_read_oldest_first() {
    let (store, mut rng) = (memory(), rng());
    let sender = PlayerId::new(1, &mut rng);
    let mut ids = Vec::new();
    for (n, (channel, content)) in [("a", "one"), ("b", "other"), ("a", "two"), ("a", "three")].iter().enumerate() {
        let line = ChatRow { sender_id: Some(sender), ..line(channel, content, &mut rng) };
        ids.push(line.message_id);
        assert_eq!(now(|done| store.append_chat(line, done)), Ok([1, 1, 2, 3][n]));
    }
    let says = |limit| {
        let lines = now(|done| store.chat_history("a".into(), limit, done)).unwrap();
        lines.into_iter().map(|line| format!("{} {}", line.seq, line.content)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(says(2), "2 two, 3 three");
    let change = |index: usize, by: Option<PlayerId>, content: Option<&str>| {
        let change = ChatChange {
            channel_id: "a".into(),
            message_id: ids[index],
            only_sender: by,
            content: content.map(Into::into),
            unix_ms: 2_000,
        };
        now(|done| store.change_chat(change, done)).unwrap()
    };
    assert_eq!(change(1, None, Some("x")), Changed::NotFound, "that line is in another channel");
    assert_eq!(change(2, Some(PlayerId::new(2, &mut rng)), Some("x")), Changed::NotSender);
    assert_eq!(change(2, Some(sender), Some("TWO")), Changed::Done);
    assert_eq!(change(3, None, None), Changed::Done);
    assert_eq!(change(3, None, Some("back")), Changed::NotFound, "deleted is deleted");
    assert_eq!(says(9), "1 one, 2 TWO");
    assert_eq!(now(|done| store.append_chat(line("a", "four", &mut rng), done)), Ok(4), "no number comes twice");
}

#[test]
fn a_match_is_recorded_once_with_its_players_and_votes() {
    let (store, mut rng) = (memory(), rng());
    let (ada, bot) = (PlayerId::new(1, &mut rng), PlayerId::new(2, &mut rng));
    let mut ids = Vec::new();
    for (mode, outcome) in [("arena", Outcome::Won), ("demo", Outcome::Played), ("arena", Outcome::Lost)] {
        let record = MatchRow {
            id: MatchId::new(3, &mut rng),
            mode: mode.into(),
            status: "finished".into(),
            result: "{}".into(),
            started_unix_ms: 1_000,
            finished_unix_ms: 2_000 + ids.len() as u64,
        };
        let parts = vec![
            ParticipantRow { player_id: ada, bot: false, outcome, stats: Some("{\"kills\":3}".into()) },
            ParticipantRow { player_id: bot, bot: true, outcome: Outcome::Drawn, stats: None },
        ];
        ids.push(record.id);
        assert_eq!(now(|done| store.finish_match(record.clone(), parts.clone(), done)), Ok(true));
        assert_eq!(now(|done| store.finish_match(record.clone(), parts.clone(), done)), Ok(false));
        assert_eq!(now(|done| store.match_record(record.id, done)), Ok(Some((record, parts))));
    }
    let listed = |filter: MatchFilter| {
        let rows = now(|done| store.matches(filter, done)).unwrap();
        rows.into_iter().map(|row| ids.iter().position(|id| *id == row.id).unwrap()).collect::<Vec<_>>()
    };
    let all = MatchFilter { limit: 10, ..MatchFilter::default() };
    let of_mode = MatchFilter { mode: Some("arena".into()), ..all.clone() };
    assert_eq!(listed(all.clone()), [2, 1, 0]);
    assert_eq!(listed(MatchFilter { limit: 1, ..of_mode.clone() }), [2]);
    assert_eq!(listed(MatchFilter { player_id: Some(ada), ..of_mode }), [2, 0]);
    assert_eq!(listed(MatchFilter { status: Some("cancelled".into()), ..all.clone() }), [0; 0]);
    assert_eq!(listed(MatchFilter { player_id: Some(PlayerId::new(9, &mut rng)), ..all }), [0; 0]);

    let stats = now(|done| store.stats_of(ada, done)).unwrap();
    let told: Vec<_> = stats.iter().map(|s| (s.mode.as_str(), s.played, s.won, s.lost, s.drawn)).collect();
    assert_eq!(told, [("arena", 2, 1, 1, 0), ("demo", 1, 0, 0, 0)]);
    assert_eq!(now(|done| store.stats_of(bot, done)), Ok(vec![]));

    let vote = VoteRow {
        id: "map".parse().unwrap(),
        match_id: ids[0],
        template: "map_vote".into(),
        status: "decided".into(),
        visibility: "hidden".into(),
        opened_unix_ms: 1_000,
        closed_unix_ms: 2_000,
        record: "{\"winner\":\"a\"}".into(),
    };
    assert_eq!(now(|done| store.record_vote(vote.clone(), Box::new(|| "{}".into()), done)), Ok(true));
    assert_eq!(now(|done| store.record_vote(vote.clone(), Box::new(|| "{\"x\":1}".into()), done)), Ok(false));
    assert_eq!(now(|done| store.vote_audit(vote.id.clone(), done)), Ok(Some("{}".into())));
    assert_eq!(now(|done| store.votes_of_match(ids[0], 50, done)), Ok(vec![vote.clone()]));
    assert_eq!(now(|done| store.vote(vote.id.clone(), done)), Ok(Some(vote)));
}

#[test]
fn a_match_that_a_process_left_running_is_interrupted_and_keeps_its_players() {
    let (store, mut rng) = (memory(), rng());
    let (ada, bob) = (PlayerId::new(1, &mut rng), PlayerId::new(2, &mut rng));
    let running = |id| RunningRow { id, mode: "arena".into(), started_unix_ms: 1_000 };
    let (left, ended) = (MatchId::new(3, &mut rng), MatchId::new(4, &mut rng));
    for id in [left, ended] {
        now(|done| store.begin_match(running(id), vec![ada], done)).unwrap();
        now(|done| store.begin_match(running(id), vec![ada, bob], done)).unwrap();
    }
    let record = MatchRow {
        id: ended,
        mode: "arena".into(),
        status: "finished".into(),
        result: "{}".into(),
        started_unix_ms: 1_000,
        finished_unix_ms: 2_000,
    };
    let parts = vec![ParticipantRow { player_id: bob, bot: false, outcome: Outcome::Won, stats: None }];
    assert_eq!(now(|done| store.finish_match(record.clone(), parts.clone(), done)), Ok(true));

    assert_eq!(now(|done| store.match_record(left, done)), Ok(None), "it runs");
    assert_eq!(now(|done| store.end_interrupted(9_000, done)), Ok(1));
    assert_eq!(now(|done| store.end_interrupted(9_500, done)), Ok(0));
    let (row, players) = now(|done| store.match_record(left, done)).unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.started_unix_ms, row.finished_unix_ms), ("interrupted", 1_000, 9_000));
    assert_eq!(players.iter().map(|part| part.player_id).collect::<Vec<_>>(), [ada, bob]);
    assert_eq!(now(|done| store.stats_of(ada, done)), Ok(vec![]), "nobody is charged for it");
    assert_eq!(now(|done| store.match_record(ended, done)), Ok(Some((record, parts))));
}

#[test]
fn votes_of_two_matches_may_have_one_name_and_neither_is_lost() {
    let (store, mut rng) = (memory(), rng());
    let matches = [MatchId::new(3, &mut rng), MatchId::new(4, &mut rng)];
    for (n, match_id) in matches.into_iter().enumerate() {
        let vote = VoteRow {
            id: "map".parse().unwrap(),
            match_id,
            template: "map".into(),
            status: "decided".into(),
            visibility: "live".into(),
            opened_unix_ms: 1,
            closed_unix_ms: 2 + n as u64,
            record: format!("{{\"n\":{n}}}"),
        };
        assert_eq!(now(|done| store.record_vote(vote.clone(), Box::new(move || n.to_string()), done)), Ok(true));
        assert_eq!(now(|done| store.votes_of_match(match_id, 9, done)), Ok(vec![vote]));
    }
    assert_eq!(now(|done| store.vote("map".parse().unwrap(), done)).unwrap().unwrap().match_id, matches[1]);
    assert_eq!(now(|done| store.vote_audit("map".parse().unwrap(), done)), Ok(Some("1".into())));
}

#[test]
fn desks_keep_notifications_mutes_blocks_and_values() {
    let (store, mut rng) = (memory(), rng());
    let (ada, bob) = (PlayerId::new(1, &mut rng), PlayerId::new(2, &mut rng));
    let note = |n: u64, rng: &mut ChaCha8Rng| NotificationRow {
        id: NotificationId::new(n, rng),
        player_id: ada,
        kind: "announcement".into(),
        subject: format!("{n}"),
        content: "{}".into(),
        sent_unix_ms: n,
        read: false,
    };
    let (first, second) = (note(1, &mut rng), note(2, &mut rng));
    now(|done| store.notify(vec![first.clone(), second.clone()], done)).unwrap();
    assert_eq!(now(|done| store.read_notification(bob, first.id, done)), Ok(None), "somebody else's");
    let read = NotificationRow { read: true, ..first.clone() };
    assert_eq!(now(|done| store.read_notification(ada, first.id, done)), Ok(Some(read)));
    assert_eq!(now(|done| store.notifications(ada, Some(false), 9, done)), Ok(vec![second.clone()]));
    assert_eq!(now(|done| store.notifications(ada, None, 1, done)), Ok(vec![second]));
    assert_eq!(now(|done| store.delete_notification(bob, first.id, done)), Ok(false));
    assert_eq!(now(|done| store.delete_notification(ada, first.id, done)), Ok(true));

    now(|done| store.block(ada, bob, done)).unwrap();
    assert_eq!(now(|done| store.blocked_between(ada, bob, done)), Ok(Some(Block::Own)));
    assert_eq!(now(|done| store.blocked_between(bob, ada, done)), Ok(Some(Block::Theirs)));
    assert_eq!(now(|done| store.blocks(ada, done)), Ok(vec![bob]));
    now(|done| store.block(bob, ada, done)).unwrap();
    assert_eq!(now(|done| store.blocked_between(bob, ada, done)), Ok(Some(Block::Own)), "a second one hides the first");
    assert_eq!(now(|done| store.unblock(ada, bob, done)), Ok(true));
    assert_eq!(now(|done| store.blocked_between(ada, bob, done)), Ok(Some(Block::Theirs)));
    assert_eq!(now(|done| store.unblock(bob, ada, done)), Ok(true));
    assert_eq!(now(|done| store.blocked_between(ada, bob, done)), Ok(None));

    let mute = |channel: Option<&str>, until_unix_ms| MuteRow {
        player_id: bob,
        channel_id: channel.map(Into::into),
        reason: "loud".into(),
        until_unix_ms,
    };
    for row in [mute(None, 10), mute(Some("lobby"), 30), mute(None, 20)] {
        now(|done| store.mute(row, done)).unwrap();
    }
    assert_eq!(now(|done| store.mutes(bob, done)), Ok(vec![mute(None, 20), mute(Some("lobby"), 30)]));
    assert_eq!(now(|done| store.active_mutes(20, done)), Ok(vec![mute(Some("lobby"), 30)]));
    assert_eq!(now(|done| store.sweep(20, done)), Ok(1));
    assert_eq!(now(|done| store.mutes(bob, done)), Ok(vec![mute(Some("lobby"), 30)]));

    for key in ["a%", "a_1", "ab", "b"] {
        let row = KvRow { key: key.into(), value: key.into(), updated_unix_ms: 1 };
        now(|done| store.kv_put("g".into(), row, done)).unwrap();
    }
    let keys = |prefix: &str| {
        let rows = now(|done| store.kv_list("g".into(), prefix.into(), 9, done)).unwrap();
        rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    assert_eq!(keys("a"), ["a%", "a_1", "ab"]);
    assert_eq!(keys("a%"), ["a%"], "a wildcard means itself");
    for (scope, key) in [("p:1:m:a", "x"), ("p:1:m:b", "y"), ("p:1:mm:a", "z"), ("p:1:m;", "z"), ("p:1:m", "z")] {
        let row = KvRow { key: key.into(), value: b"1".to_vec(), updated_unix_ms: 1 };
        store.kv_put(scope.into(), row, Box::new(|_| {}));
    }
    // With what is on its way: nobody waited for those.
    let within = now(|done| store.kv_within("p:1:m:".into(), 9, done)).unwrap();
    let within: Vec<_> = within.iter().map(|(scope, row)| (scope.as_str(), row.key.as_str())).collect();
    assert_eq!(within, [("a", "x"), ("b", "y")]);
    assert_eq!(now(|done| store.kv_within("p:1:m:".into(), 1, done)).unwrap().len(), 1);
    assert_eq!(now(|done| store.kv_delete("g".into(), "b".into(), done)), Ok(true));
    assert_eq!(now(|done| store.kv_get("g".into(), "b".into(), done)), Ok(None));

    let audit = AuditRow {
        unix_ms: 1,
        address: "::1".into(),
        action: "player.ban".into(),
        target: bob.to_string(),
        details: "{}".into(),
    };
    now(|done| store.audit(audit.clone(), done)).unwrap();
    assert_eq!(now(|done| store.audit_trail(5, done)), Ok(vec![audit]));
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let folder = Folder::new("reopen");
    let mut rng = rng();
    let player = player_named("ada", &mut rng);
    let id = player.id;
    {
        let store = SqliteStore::open(folder.as_str()).unwrap();
        now(|done| store.create_player(player, tokens(id, 1, 1), done)).unwrap();
        assert_eq!(now(|done| store.player(id, done)).unwrap().unwrap().username, "ada", "readers see it at once");
    }
    let store = SqliteStore::open(folder.as_str()).unwrap();
    assert_eq!(now(|done| store.access_token([1; 32], done)).unwrap().unwrap().player.id, id);
    let said = now(|done| {
        store.write(done, |db| {
            let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
            let synchronous: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
            Ok((mode, synchronous))
        })
    });
    assert_eq!(said, Ok(("wal".into(), 2)), "2 is FULL: an fsync per commit");
    store.close();
    assert_eq!(now(|done| store.player(id, done)), Err(StoreError::Closed));
    assert_eq!(now(|done| store.unban(id, done)), Err(StoreError::Closed));
}

#[test]
fn a_file_of_an_older_version_is_brought_up_to_date_with_everything_in_it() {
    let folder = Folder::new("older");
    std::fs::create_dir_all(&folder.0).unwrap();
    let old = Connection::open(folder.0.join(FILE)).unwrap();
    old.execute_batch(migrations::MIGRATIONS[0]).unwrap();
    old.execute_batch(
        r#"INSERT INTO votes VALUES ('map', '00000000-0000-7000-8000-000000000001', 'map', 'decided', 'live', 1, 2, '{}', 'a');
           PRAGMA user_version = 1"#,
    )
    .unwrap();
    drop(old);
    let store = SqliteStore::open(folder.as_str()).unwrap();
    assert_eq!(now(|done| store.vote_audit("map".parse().unwrap(), done)), Ok(Some("a".into())));
    assert_eq!(now(|done| store.end_interrupted(1, done)), Ok(0));
}

#[test]
fn a_file_from_the_future_and_a_file_that_is_none_are_refused() {
    let folder = Folder::new("future");
    drop(SqliteStore::open(folder.as_str()).unwrap());
    let file = folder.0.join(FILE);
    Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let refusal = |folder: &Folder| SqliteStore::open(folder.as_str()).err().expect("refused").to_string();
    assert!(refusal(&folder).contains("version 99, written by a newer Tessera"), "{}", refusal(&folder));
    for stale in std::fs::read_dir(&folder.0).unwrap() {
        std::fs::remove_file(stale.unwrap().path()).unwrap();
    }
    std::fs::write(&file, "not a database, but long enough to be looked at".repeat(100)).unwrap();
    assert!(refusal(&folder).contains("not a database"), "{}", refusal(&folder));
}

#[test]
fn a_failed_write_spoils_no_neighbour_and_a_full_queue_says_so() {
    let (store, mut rng) = (memory(), rng());
    // The writer is held in a completion while a batch gathers behind it.
    let (go, wait) = channel::<()>();
    let (held, holding) = channel();
    store.sweep(
        0,
        Box::new(move |_| {
            held.send(()).expect("the test is waiting");
            let _ = wait.recv();
        }),
    );
    holding.recv().unwrap();
    let (tell, told) = channel();
    let same = line("a", "same id", &mut rng);
    let queued = limits::STORE_WRITES_WAITING_MAX;
    for n in 0..queued {
        // The first two carry one message id: the second breaks the rule of the table.
        let line = if n < 2 { same.clone() } else { line("a", "x", &mut rng) };
        let tell = tell.clone();
        store.append_chat(line, Box::new(move |outcome| tell.send((n, outcome)).expect("the test is waiting")));
    }
    let over = now(|done| store.append_chat(line("a", "too much", &mut rng), done));
    assert_eq!(over, Err(StoreError::Busy), "answered at once, while the writer is held");
    go.send(()).unwrap();
    for expected in 0..queued {
        let (n, outcome) = told.recv().unwrap();
        assert_eq!(n, expected, "completions come in order");
        match n {
            0 => assert_eq!(outcome, Ok(1)),
            1 => assert!(matches!(outcome, Err(StoreError::Failed(_))), "{outcome:?}"),
            _ => assert_eq!(outcome, Ok(n as u64)),
        }
    }
    let stats = store.stats();
    assert_eq!((stats.busy, stats.errors), (1, 1));
    assert!(stats.commits < 100, "{} writes shared {} commits", queued, stats.commits);
}

#[test]
fn a_panic_in_a_completion_or_an_operation_ends_neither_thread() {
    let store = memory();
    store.sweep(0, Box::new(|_| panic!("a completion of the test's")));
    let outcome = now(|done| store.write::<()>(done, |_| panic!("an operation of the test's")));
    assert!(matches!(outcome, Err(StoreError::Failed(_))), "{outcome:?}");
    assert_eq!(now(|done| store.sweep(0, done)), Ok(0));
}

/// Not a test of its own: the process that [`kill_9_loses_nothing_acknowledged`] kills.
#[test]
#[ignore = "run by kill_9_loses_nothing_acknowledged"]
fn writes_until_killed() {
    let folder = std::env::var("TESSERA_TEST_STORE").expect("the folder to write to");
    let store = SqliteStore::open(&folder).unwrap();
    let mut rng = rng();
    loop {
        let seq = now(|done| store.append_chat(line("a", "kept?", &mut rng), done)).unwrap();
        println!("acknowledged {seq}");
    }
}

#[test]
fn kill_9_loses_nothing_acknowledged() {
    let folder = Folder::new("kill");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "store::sqlite::tests::writes_until_killed"])
        .env("TESSERA_TEST_STORE", folder.as_str())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged = |line: String| line.strip_prefix("acknowledged ").and_then(|n| n.parse::<u64>().ok());
    let seen = lines.by_ref().filter_map(&mut acknowledged).find(|seq| *seq == 50);
    assert_eq!(seen, Some(50), "the child wrote");
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said between our decision and its end counts as well; the last line may be cut short.
    let last = lines.filter_map(&mut acknowledged).last().unwrap_or(50).max(50);
    let store = SqliteStore::open(folder.as_str()).unwrap();
    let kept = now(|done| store.chat_history("a".into(), u32::MAX, done)).unwrap();
    assert!(kept.len() as u64 >= last, "{last} acknowledged, {} kept", kept.len());
    assert!(kept.iter().zip(1..).all(|(line, seq)| line.seq == seq), "without a gap");
}
