//! What was acknowledged is there after the process was killed, and so is a ban.

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{Client, pair, run, stranger};
use tessera::client::{Base, request};

const OPS_TOKEN: &str = "a-token-of-a-test-that-is-long-enough";

/// A data folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tessera-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(
            path.join("tessera.toml"),
            "[limits]\nconnects_per_s = 0\nregisters_per_s = 0\nauths_per_s = 0\napi_per_s = 0\n",
        )
        .unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `tessera serve` as a process of its own, which `kill` ends without a word.
struct Served {
    process: Child,
    base: Base,
}

impl Served {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tessera"))
            .args(["serve", "--listen", "127.0.0.1:0", "--workers", "1", "--arbiters", "1", "--config"])
            .arg(folder.join("tessera.toml"))
            .arg("--data")
            .arg(folder.join("data"))
            .env("TESSERA__SERVER__OPS_TOKEN", OPS_TOKEN)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr =
            line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("an address, not {line:?}"));
        Self { base: Base::from(addr.parse::<std::net::SocketAddr>().unwrap()), process }
    }

    /// SIGKILL: nothing gets to say goodbye.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn get(base: &Base, path: &str, token: &str) -> Value {
    let bearer = format!("Bearer {token}");
    let answer = request(base, "GET", path, &[("Authorization", &bearer)], None).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

async fn post(base: &Base, path: &str, token: &str, body: Value) -> (u16, Value) {
    let bearer = format!("Bearer {token}");
    let headers: &[_] = if token.is_empty() { &[] } else { &[("Authorization", bearer.as_str())] };
    let answer = request(base, "POST", path, headers, Some(&body.to_string())).await.unwrap();
    (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
}

#[test]
fn nothing_that_was_acknowledged_is_lost_to_kill_9() {
    let folder = Folder::new("kill-9");
    // Again and again: what is lost to a race is not lost every time.
    for round in 0..5 {
        let server = Served::start(&folder.0);
        let (base, path) = (server.base.clone(), folder.0.clone());
        let credentials = json!({"username": format!("survivor_{round}"), "password": "correct horse"});
        run(async move {
            let (mut ann, mut bob, match_id) = pair(&base, "bench").await;
            let start = json!({"start_vote": {"template": "map", "window_type": "ready_up"}});
            ann.send("match.input", start).await;
            let vote_id = ann.expect("match.vote_start").await["payload"]["vote_id"].clone();
            bob.expect("match.vote_start").await;
            ann.send("chat.join", json!({"channel_id": "lobby"})).await;
            ann.expect("chat.joined").await;

            // Each of these is said once more, and the process is gone as soon as the last is acknowledged.
            let said = format!("round {round}");
            let (registered, _) = post(&base, "/api/v1/auth/register", "", credentials.clone()).await;
            assert_eq!(registered, 200);
            ann.send("dm.send", json!({"recipient_id": bob.player, "content": said})).await;
            ann.expect("dm.sent").await;
            for (client, option) in [(&mut ann, "a"), (&mut bob, "a")] {
                client.send("vote.cast", json!({"vote_id": vote_id, "option_id": option})).await;
                client.expect("vote.cast_ok").await;
            }
            assert_eq!(bob.expect("match.vote_result").await["payload"]["winner"], "a");
            ann.send("chat.send", json!({"channel_id": "lobby", "content": said})).await;
            ann.expect("chat.sent").await;
            server.kill();

            let server = Served::start(&path);
            let base = server.base.clone();
            let (signed_in, account) = post(&base, "/api/v1/auth/login", "", credentials).await;
            assert_eq!(signed_in, 200, "{account}");
            // Access tokens outlive the process, too.
            let lobby = get(&base, "/api/v1/chat/lobby/history?limit=200", &ann.token).await;
            let kept =
                |list: &Value| list["messages"].as_array().unwrap().iter().any(|row| row["content"] == json!(said));
            assert!(kept(&lobby), "{lobby}");
            let dms = get(&base, &format!("/api/v1/dm/{}/history", bob.player), &ann.token).await;
            assert!(kept(&dms), "{dms}");
            // Those who voted may read it, although their match never came to its end; and they are told so.
            let vote = get(&base, &format!("/api/v1/votes/{}", vote_id.as_str().unwrap()), &bob.token).await;
            let record = get(&base, &format!("/api/v1/matches/{match_id}"), &bob.token).await;
            assert_eq!(record["status"], "interrupted", "{record}");
            assert_eq!((&vote["winner"], &vote["match_id"]), (&json!("a"), &json!(match_id)), "{vote}");
        });
    }
}

#[test]
fn a_ban_outlives_the_process() {
    let folder = Folder::new("ban");
    let credentials = json!({"username": "cheater", "password": "correct horse"});
    let server = Served::start(&folder.0);
    let base = server.base.clone();
    let known = credentials.clone();
    run(async move {
        let (_, account) = post(&base, "/api/v1/auth/register", "", known).await;
        let mut client = stranger(&base).await;
        client.send("session.connect", json!({"token": account["access_token"]})).await;
        client.expect("session.connected").await;
        let path = format!("/ops/v1/players/{}/ban", account["player_id"].as_str().unwrap());
        let (status, answer) = post(&base, &path, OPS_TOKEN, json!({"reason": "cheating"})).await;
        assert_eq!((status, &answer["success"]), (200, &json!(true)), "{answer}");
        while client.next().await.is_some() {}
        server.kill();
    });
    let server = Served::start(&folder.0);
    let base = server.base.clone();
    run(async move {
        let (status, answer) = post(&base, "/api/v1/auth/login", "", credentials).await;
        assert_eq!((status, &answer["error"]["code"]), (403, &json!("auth.banned")), "{answer}");
        let mut other = Client::new(&base, "somebody-else").await;
        other.send("session.heartbeat", json!({})).await;
        other.expect("session.heartbeat").await;
    });
}

#[test]
fn what_an_operator_was_told_is_done_is_not_lost_to_kill_9() {
    let folder = Folder::new("operator");
    // Each deed in its turn is the last before the end, and more than once: a race is not lost every time.
    for round in 0..12 {
        let server = Served::start(&folder.0);
        let (base, path) = (server.base.clone(), folder.0.clone());
        run(async move {
            let ann = Client::new(&base, "ann").await;
            let said = format!("round {round}");
            let (deed, wanted) = match round % 3 {
                0 => (format!("players/{}/notify", ann.player), json!({"type": "gift", "content": said})),
                1 => ("announce".into(), json!({"content": said})),
                _ => ("announce".into(), json!({"content": said, "channel_id": "lobby"})),
            };
            let (status, answer) = post(&base, &format!("/ops/v1/{deed}"), OPS_TOKEN, wanted).await;
            server.kill();
            assert_eq!((status, &answer["success"]), (200, &json!(true)), "{answer}");

            let server = Served::start(&path);
            let (at, list) = match round % 3 {
                2 => ("/api/v1/chat/lobby/history?limit=200", "messages"),
                _ => ("/api/v1/notifications", "notifications"),
            };
            let kept = get(&server.base, at, &ann.token).await;
            assert!(kept[list].as_array().unwrap().iter().any(|row| row["content"] == json!(said)), "{deed}: {kept}");
        });
    }
}
