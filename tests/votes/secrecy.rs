//! What must not be learned: of a hidden vote before its close, of a secret vote ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::support::run;
use super::*;

/// Everything that is said around a vote before its close, as an eavesdropper on every wire sees it: whose connection,
/// which type, how many bytes.
async fn overheard(base: &Base, visibility: &str, ballots: [&str; 3]) -> Vec<String> {
    let (mut players, match_id) = room::<4>(base).await;
    let vote = json!({"visibility": visibility, "window_ms": 30000, "options": ["x", "a far longer option"]});
    let vote_id = opened(&mut players, vote).await;
    let mut told = Vec::new();
    for (n, ballot) in ballots.iter().enumerate() {
        told.push(format!("{n} cast_ok {}", cast(&mut players[n], &vote_id, *ballot).await.to_string().len()));
    }
    // A tally that was only held back would come now.
    tokio::time::sleep(Duration::from_millis(150)).await;
    for (n, player) in players.iter_mut().enumerate() {
        let mine: Vec<_> = player.heard_of("match.vote_tally").await;
        told.extend(mine.iter().map(|frame| format!("{n} {} {}", frame["type"], frame.to_string().len())));
        for kind in ["match.vote_result", "match.vote_deadline", "match.vote_turn", "module.message"] {
            assert!(player.heard_of(kind).await.is_empty(), "{kind}");
        }
    }
    // Who comes in later, and an operator, learn no more; neither does whoever asks over HTTP.
    let mut late = Client::new(base, &format!("late-{match_id}")).await;
    late.send("match.join", json!({"match_id": match_id, "as": "spectator"})).await;
    let joined = late.expect("match.joined").await;
    told.push(format!("joined {}", joined["payload"]["open_votes"].to_string().len()));
    let (_, seen) = http(base, OPERATOR, "GET", &format!("/ops/v1/votes/{vote_id}"), Value::Null).await;
    told.push(format!("operator {}", seen.len()));
    for path in [format!("/api/v1/matches/{match_id}/votes"), format!("/api/v1/votes/{vote_id}")] {
        let (status, body) = http(base, &players[0].token, "GET", &path, Value::Null).await;
        told.push(format!("http {status} {}", body.len()));
    }
    // The next room is a fresh one.
    for player in &mut players {
        player.send("match.leave", json!({})).await;
        player.expect("match.left").await;
    }
    told
}

/// Four players fill a room, so that every run has one of its own.
fn rooms_of_four() -> Background {
    server(|_, mode| mode.players = Players { min: 4, max: 4 })
}

#[test]
fn a_hidden_vote_leaks_no_number_no_order_and_no_frame_size_before_its_close() {
    let server = rooms_of_four();
    let base = Base::from(server.addr);
    run(async move {
        let long = "a far longer option";
        let mut heard = Vec::new();
        for visibility in ["hidden", "secret"] {
            heard.clear();
            for ballots in [["x", "x", "x"], [long, "x", long], [long, long, long]] {
                heard.push(overheard(&base, visibility, ballots).await);
            }
            assert!(heard.iter().all(|told| *told == heard[0]), "{visibility}: {heard:#?}");
            assert!(heard[0].iter().all(|line| !line.contains("tally")), "{:?}", heard[0]);
        }
        // The same ear hears the difference in a live vote.
        let live = [overheard(&base, "live", ["x", "x", "x"]).await, overheard(&base, "live", [long, "x", long]).await];
        assert_ne!(live[0], live[1]);
        assert!(live[0].iter().any(|line| line.contains("tally")));
    });
}

/// The fault behind it: ballots of a hidden vote could be read, voter by voter, from the record of the vote.
#[test]
fn a_secret_vote_is_not_readable_afterwards_over_any_door() {
    let server = server(|_, _| {});
    let base = Base::from(server.addr);
    run(async move {
        let (mut players, match_id) = room::<3>(&base).await;
        let vote = json!({"visibility": "secret", "window_type": "ready_up", "window_ms": 30000});
        let vote_id = opened(&mut players, vote).await;
        let mut receipts = Vec::new();
        for (player, ballot) in players.iter_mut().zip(["a", "b", "a"]) {
            receipts.push(cast(player, &vote_id, ballot).await["receipt"].clone());
        }
        let result = result(&mut players[0], &vote_id).await;
        assert_eq!(result["counts"], json!({"a": 2, "b": 1, "c": 0}), "counts are public at the close");
        for receipt in receipts {
            players[1].send("vote.verify", json!({"vote_id": vote_id, "receipt": receipt})).await;
            let proof = players[1].expect("vote.proof").await["payload"].take();
            assert_eq!((proof.get("leaf"), &proof["closed"]), (None, &json!(true)), "a proof shows no ballot: {proof}");
        }
        let token = players[0].token.clone();
        let doors = [
            (token.clone(), format!("/api/v1/votes/{vote_id}")),
            (token.clone(), format!("/api/v1/votes/{vote_id}/audit")),
            (token, format!("/api/v1/matches/{match_id}/votes")),
            (OPERATOR.to_owned(), format!("/ops/v1/votes/{vote_id}")),
        ];
        for (token, path) in doors {
            let (status, body) = http(&base, &token, "GET", &path, Value::Null).await;
            assert_eq!(status, 200, "{path}");
            for player in &players {
                let named = body.matches(&player.player).count();
                let listed = usize::from(path.ends_with("/audit"));
                assert!(named <= listed, "{path} names {} {named} times: {body}", player.player);
            }
            assert!(!body.contains("\"voter\"") && !body.contains("\"casts\""), "{path}: {body}");
        }
    });
}

/// A folder of our own that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tessera-votes-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Every byte of every file in it.
    fn bytes(&self) -> Vec<(String, Vec<u8>)> {
        fn walk(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, into),
                    false => into.push((path.display().to_string(), fs::read(&path).unwrap())),
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.0, &mut files);
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn count(haystack: &[u8], needle: &str) -> usize {
    haystack.windows(needle.len()).filter(|window| *window == needle.as_bytes()).count()
}

/// What a vote of this visibility leaves on disk: for each file, how often `"voter"` stands in it and how often any of
/// the voters is named within the text of one cast beside one of the options. Read twice: with the database open (its
/// write-ahead log beside it), and after the server has stopped.
fn left_on_disk(visibility: &'static str) -> Vec<(usize, usize)> {
    let folder = Folder::new(visibility);
    let data = folder.0.join("data").display().to_string();
    let server = server(move |config, _| config.server.data = data);
    let base = Base::from(server.addr);
    let seen = std::rc::Rc::new(std::cell::RefCell::new((Vec::new(), Vec::new())));
    let out = seen.clone();
    let open = &folder;
    run(async move {
        let (mut players, _) = room::<3>(&base).await;
        let options = ["option-jungle", "option-volcano", "option-harbour"];
        let vote = json!({
            "visibility": visibility, "window_type": "ready_up", "window_ms": 30000, "options": options, "method": "ranked",
            "default_votes": {players[0].player.clone(): "option-harbour"}, "veto_enabled": true,
        });
        let vote_id = opened(&mut players, vote).await;
        cast(&mut players[0], &vote_id, json!(["option-harbour"])).await;
        cast(&mut players[0], &vote_id, json!(["option-jungle", "option-volcano"])).await;
        cast(&mut players[1], &vote_id, json!(["option-volcano"])).await;
        cast(&mut players[2], &vote_id, json!(["option-jungle"])).await;
        result(&mut players[1], &vote_id).await;
        // The record is on disk once it can be read.
        let (status, _) =
            http(&base, &players[0].token, "GET", &format!("/api/v1/votes/{vote_id}/audit"), Value::Null).await;
        assert_eq!(status, 200);
        for player in &mut players {
            player.send("match.leave", json!({})).await;
            player.expect("match.left").await;
        }
        *out.borrow_mut() = (players.iter().map(|player| player.player.clone()).collect::<Vec<_>>(), open.bytes());
    });
    drop(server);
    let (voters, while_open) = seen.take();
    let look = |files: &[(String, Vec<u8>)]| {
        assert!(files.iter().any(|(_, bytes)| count(bytes, "option-jungle") > 0), "the record is there to be grepped");
        let links = |bytes: &[u8]| -> usize {
            // A cast's text is far shorter than this; the list of the eligible is not beside any ballot.
            let near = |voter: &String| {
                let at = bytes.windows(voter.len()).enumerate().filter(|(_, window)| *window == voter.as_bytes());
                at.filter(|(at, _)| {
                    let around = &bytes[at.saturating_sub(120)..(at + 156).min(bytes.len())];
                    count(around, "\"ballot\"") > 0 || count(around, "\"option-") > 0
                })
                .count()
            };
            voters.iter().map(near).sum()
        };
        (
            files.iter().map(|(_, bytes)| count(bytes, "\"voter\"")).sum::<usize>(),
            files.iter().map(|(_, bytes)| links(bytes)).sum::<usize>(),
        )
    };
    vec![look(&while_open), look(&folder.bytes())]
}

#[test]
fn a_secret_vote_leaves_no_way_from_a_voter_to_a_ballot_in_any_file() {
    for (voter_keys, links) in left_on_disk("secret") {
        assert_eq!((voter_keys, links), (0, 0));
    }
    // The same search finds what an open vote leaves.
    for (voter_keys, links) in left_on_disk("live") {
        assert!(voter_keys >= 4 && links >= 4, "{voter_keys} {links}");
    }
}
