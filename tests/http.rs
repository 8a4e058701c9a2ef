//! The REST side against a real listener, as a stranger with a socket sees it. The clock is a number that the test
//! sets, the store is in memory, and what actors would do is written down by a recorder.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;

use actix_web::{App, HttpServer, web};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde_json::{Value, json};

use tessera::gateway::http::{Clock, Ended, HttpRates, HttpRules, HttpState, Live, Now, Passwords, configure};
use tessera::ids::{MatchId, MessageId, NotificationId, PlayerId};
use tessera::limits::BLOCKS_MAX;
use tessera::store::rows::*;
use tessera::store::{Done, SqliteStore, Store, StoreError};

/// What the actors were told, and what they would answer.
#[derive(Default)]
struct Recorder {
    ended: Mutex<Vec<(Vec<SignIn>, Ended)>>,
    members: Mutex<Vec<(PlayerId, String)>>,
    draining: AtomicBool,
}

impl Live for Recorder {
    fn revoked(&self, ended: &[SignIn], why: Ended) {
        if !ended.is_empty() {
            self.ended.lock().push((ended.to_vec(), why));
        }
    }

    fn is_member(&self, player: PlayerId, channel_id: &str) -> BoxFuture<'static, bool> {
        ready(self.members.lock().contains(&(player, channel_id.to_owned()))).boxed()
    }

    fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed)
    }
}

struct Server {
    addr: SocketAddr,
    clock_ms: Arc<AtomicU64>,
    live: Arc<Recorder>,
    store: Arc<SqliteStore>,
    handle: actix_web::dev::ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
}

const START_MS: u64 = 1_776_248_400_000;

fn serve(change: impl FnOnce(&mut HttpRules)) -> Server {
    let mut rules = HttpRules {
        access_token_ms: 900_000,
        allowed_origins: vec!["https://play.example".into()],
        trusts_proxy: Arc::new(|_| false),
        rates: HttpRates { registers_per_s: 0, auths_per_s: 0, api_per_s: 0 },
        public_channels: vec!["lobby".into()],
        guests: true,
    };
    change(&mut rules);
    let clock_ms = Arc::new(AtomicU64::new(START_MS));
    let live = Arc::new(Recorder::default());
    let store = Arc::new(SqliteStore::open(":memory:").expect("memory can be had"));
    let read = Arc::clone(&clock_ms);
    let clock = Clock::new(move || {
        let unix_ms = read.load(Ordering::Relaxed);
        Now { monotonic_ms: unix_ms - START_MS, unix_ms }
    });
    let passwords = Passwords::start().expect("a thread can be had");
    let state = web::Data::new(HttpState::new(store.clone(), rules, clock, live.clone(), passwords));
    let (tell, told) = channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || App::new().app_data(state.clone()).configure(configure))
                .workers(1)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .expect("a port can be had");
            let addr = server.addrs()[0];
            let running = server.run();
            tell.send((addr, running.handle())).expect("the test is waiting");
            running.await.expect("the server ran");
        });
    });
    let (addr, handle) = told.recv().expect("the server started");
    Server { addr, clock_ms, live, store, handle, thread: Some(thread) }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The command is sent when the future is made; nobody has to poll it.
        drop(self.handle.stop(false));
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("")
    }
}

impl Server {
    /// One request on a connection of its own, exactly as written.
    fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.addr).expect("the server listens");
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request);
        let mut answer = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(answer.read_line(&mut head).expect("text") > 0, "no answer but {head:?}");
        }
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|n| n.parse().ok());
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
        let mut body = vec![0; length];
        answer.read_exact(&mut body).expect("the whole body");
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
        Answer { status: status.expect("a status"), headers, body }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        self.raw(request.as_bytes())
    }

    fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[], &body.to_string())
    }

    fn with_token(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        self.send(method, path, &[("authorization", &format!("Bearer {token}"))], body)
    }

    fn get(&self, path: &str, who: &SignedIn) -> Answer {
        self.with_token("GET", path, &who.access, "")
    }

    fn register(&self, name: &str) -> SignedIn {
        let answer = self
            .post("/api/v1/auth/register", json!({"username": name, "password": "long enough", "display_name": name}));
        assert_eq!(answer.status, 200, "{}", answer.body);
        SignedIn::of(&answer)
    }

    fn pass(&self, ms: u64) {
        self.clock_ms.fetch_add(ms, Ordering::Relaxed);
    }

    fn keep<T: Send + 'static>(&self, call: impl FnOnce(&SqliteStore, Done<T>)) -> T {
        let (tell, told) = channel::<Result<T, StoreError>>();
        call(&self.store, Box::new(move |outcome| tell.send(outcome).expect("the test is waiting")));
        told.recv().expect("every call is answered").expect("the store works")
    }
}

struct SignedIn {
    id: PlayerId,
    access: String,
    refresh: String,
}

impl SignedIn {
    fn of(answer: &Answer) -> Self {
        let text =
            |name: &str| answer.body[name].as_str().unwrap_or_else(|| panic!("{name} in {}", answer.body)).to_owned();
        Self {
            id: text("player_id").parse().expect("an id"),
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(3)
}

#[test]
fn a_player_registers_and_signs_in_with_the_shapes_that_clients_read() {
    let server = serve(|_| ());
    let waiting = server.send("GET", "/api/v1/auth/register", &[], "");
    assert_eq!((waiting.status, waiting.code()), (405, "method_not_allowed"), "how the public smoke test waits for us");
    assert_eq!(waiting.headers["allow"], "POST");

    let wanted = json!({"username": "Ada_1", "password": "pa\u{308}ssword", "display_name": " Ada L. "});
    let answer = server.post("/api/v1/auth/register", wanted);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let names: Vec<_> = answer.body.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(names, ["access_token", "player_id", "refresh_token", "session_token", "username"]);
    assert_eq!(answer.body["session_token"], answer.body["access_token"], "for old clients");
    assert_eq!(answer.body["username"], "Ada_1");
    let ada = SignedIn::of(&answer);

    let again = server.post("/api/v1/auth/login", json!({"username": "ADA_1", "password": "p\u{e4}ssword"}));
    assert_eq!(again.status, 200, "whatever the case of the name and the keyboard's way to write an umlaut");
    let again = SignedIn::of(&again);
    assert_eq!(again.id, ada.id);
    assert_ne!(again.access, ada.access);

    let me = server.get(&format!("/api/v1/players/{}", ada.id), &again);
    assert_eq!(
        me.body,
        json!({"id": ada.id, "player_id": ada.id, "username": "Ada_1", "display_name": "Ada L.", "guest": false,
               "inserted_at": "2026-04-15T10:20:00Z", "stats": []})
    );
}

#[test]
fn bad_input_is_told_apart() {
    let server = serve(|_| ());
    server.register("taken");
    let long = "x".repeat(129);
    for (path, body, status, code) in [
        ("register", "", 400, "invalid_json"),
        ("register", "{", 400, "invalid_json"),
        ("register", "\u{7f}", 400, "invalid_json"),
        ("register", "[]", 400, "invalid_payload"),
        ("register", "{}", 400, "missing_field"),
        ("register", r#"{"username":"abc"}"#, 400, "missing_field"),
        ("register", r#"{"username":7,"password":"long enough"}"#, 400, "invalid_field"),
        ("register", r#"{"username":"abc","password":"long enough","display_name":[]}"#, 400, "invalid_field"),
        ("register", r#"{"username":"a","username":"abc","password":"long enough"}"#, 400, "invalid_json"),
        ("register", r#"{"username":"abc","password":"long enough","n":9007199254740993}"#, 400, "invalid_json"),
        ("register", r#"{"username":"ab","password":"long enough"}"#, 422, "validation_failed"),
        ("register", r#"{"username":"a b c","password":"long enough"}"#, 422, "validation_failed"),
        ("register", r#"{"username":"abc","password":"short"}"#, 422, "validation_failed"),
        ("register", &format!(r#"{{"username":"abc","password":"{long}"}}"#), 422, "validation_failed"),
        (
            "register",
            r#"{"username":"abc","password":"long enough","display_name":"a\u202eb"}"#,
            422,
            "validation_failed",
        ),
        ("register", r#"{"username":"TAKEN","password":"long enough"}"#, 409, "auth.username_taken"),
        ("register", r#"{"username":"ta\u006ben","password":"long enough"}"#, 409, "auth.username_taken"),
        ("login", "{}", 400, "missing_field"),
        ("login", r#"{"username":"taken","password":null}"#, 400, "invalid_field"),
        ("login", r#"{"username":"taken","password":"long enougH"}"#, 401, "auth.invalid_credentials"),
        ("login", r#"{"username":"taken","password":""}"#, 401, "auth.invalid_credentials"),
        ("login", r#"{"username":"nobody","password":"long enough"}"#, 401, "auth.invalid_credentials"),
        ("login", r#"{"username":"' OR 1=1 --","password":"long enough"}"#, 401, "auth.invalid_credentials"),
        ("refresh", "{}", 400, "missing_field"),
        ("refresh", r#"{"refresh_token":"nobody's"}"#, 401, "auth.invalid_refresh_token"),
        ("guest", "{}", 400, "missing_field"),
        (
            "guest",
            r#"{"device_id":"","device_secret":"0123456789abcdef0123456789abcdef"}"#,
            400,
            "guest.invalid_device_id",
        ),
        ("guest", r#"{"device_id":"phone","device_secret":"short"}"#, 400, "guest.weak_device_secret"),
        ("guest/upgrade", r#"{"username":"abc","password":"long enough"}"#, 401, "unauthenticated"),
        ("nothing", "{}", 404, "not_found"),
    ] {
        let answer = server.send("POST", &format!("/api/v1/auth/{path}"), &[], body);
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {body}: {}", answer.body);
        assert!(answer.body["error"]["message"].is_string() && answer.body["error"]["details"].is_object());
        assert_eq!(answer.headers["content-type"], "application/json");
        assert!(status != 401 || answer.headers["www-authenticate"] == "Bearer");
    }
    let all = server.post("/api/v1/auth/register", json!({"username": "a", "password": "b", "display_name": ""}));
    let fields = all.body["fields"].as_object().expect("the fields").keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields, ["display_name", "password", "username"], "every fault at once");
    assert_eq!(all.body["fields"], all.body["error"]["details"]["fields"]);
    assert!(all.body["fields"]["username"][0].is_string());

    let alike = server.post("/api/v1/auth/register", json!({"username": "BiIl_0", "password": "long enough"}));
    assert_eq!(alike.status, 200);
    let alike = server.post("/api/v1/auth/register", json!({"username": "Bill_o", "password": "long enough"}));
    assert_eq!((alike.status, alike.code()), (409, "auth.username_taken"));
    assert_eq!(alike.body["error"]["details"]["problem"], "look_alike");
}

#[test]
fn a_body_is_read_no_further_than_its_limit() {
    let server = serve(|_| ());
    let announced =
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: t\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut endless = announced.to_vec();
    for _ in 0..20 {
        endless.extend_from_slice(b"1000\r\n");
        endless.extend_from_slice(&[b' '; 0x1000]);
        endless.extend_from_slice(b"\r\n");
    }
    let answer = server.raw(&endless);
    assert_eq!((answer.status, answer.code()), (413, "payload_too_large"), "though the body never ended");
    assert_eq!(answer.body["error"]["details"]["bytes_max"], 65_536);
    let deep = format!("{}{}", "[".repeat(40_000), "]".repeat(20_000));
    assert_eq!(server.send("POST", "/api/v1/auth/login", &[], &deep).code(), "invalid_json");
    let not_text =
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 2\r\n\r\n\xff\xfe";
    assert_eq!(server.raw(not_text).code(), "invalid_json");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_without_end() {
    let server = serve(|_| ());
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.write_all(b"POST /api/v1/auth/login HTTP/1.1\r\nhost: t\r\ncontent-length: 50\r\n\r\n{").unwrap();
    // The answer, and then the end of the connection, though it was to be kept alive.
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains(r#""code":"request_timeout""#), "{answer}");
}

#[test]
fn unknown_paths_and_methods_answer_in_json() {
    let server = serve(|_| ());
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/", 404),
        ("GET", "/api/v2/players", 404),
        ("GET", "/api/v1/players", 404),
        ("DELETE", "/api/v1/players/x", 405),
        ("POST", "/api/v1/matches", 405),
        ("PUT", "/health", 405),
        ("GET", "/ops/v1/stats", 404),
        ("GET", "/%ff%00", 404),
    ] {
        let answer = server.send(method, path, &[], "");
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(!answer.code().is_empty(), "{method} {path}: {}", answer.body);
    }
}

#[test]
fn an_access_token_runs_out_and_a_refresh_token_rotates() {
    let server = serve(|_| ());
    let ada = server.register("ada");
    let path = format!("/api/v1/players/{}", ada.id);
    for (header, status) in [
        (format!("Bearer {}", ada.access), 200),
        (format!("bearer {}", ada.access), 200),
        (format!("Basic {}", ada.access), 401),
        (format!("Bearer {}x", ada.access), 401),
        (format!("Bearer {}", ada.refresh), 401),
        (ada.access.clone(), 401),
        (String::new(), 401),
    ] {
        assert_eq!(server.send("GET", &path, &[("authorization", &header)], "").status, status, "{header}");
    }
    server.pass(899_999);
    assert_eq!(server.get(&path, &ada).status, 200);
    server.pass(1);
    let late = server.get(&path, &ada);
    assert_eq!((late.status, late.code()), (401, "unauthenticated"));
    let helps = late.body["error"]["message"].as_str().expect("a sentence");
    assert!(helps.contains("refresh it"), "{helps}");

    let refresh = |token: &str| server.post("/api/v1/auth/refresh", json!({"refresh_token": token}));
    let second = SignedIn::of(&refresh(&ada.refresh));
    assert_eq!(server.get(&path, &second).status, 200);
    assert!(server.live.ended.lock().is_empty());
    let reused = refresh(&ada.refresh);
    assert_eq!((reused.status, reused.code()), (401, "auth.invalid_refresh_token"));
    assert_eq!(server.get(&path, &second).status, 401, "the whole family is revoked");
    assert_eq!(refresh(&second.refresh).status, 401);
    let ended = std::mem::take(&mut *server.live.ended.lock());
    assert!(
        matches!(&ended[..], [(who, Ended::TokenReused)] if who[0].player_id == ada.id),
        "sockets close: {ended:?}"
    );

    let third = SignedIn::of(&server.post("/api/v1/auth/login", json!({"username": "ada", "password": "long enough"})));
    server.pass(30 * 24 * 3_600_000);
    assert_eq!(refresh(&third.refresh).status, 401, "a refresh token runs out, too");
}

#[test]
fn signing_out_always_answers_200_and_ends_what_it_was_shown() {
    let server = serve(|_| ());
    let login =
        || SignedIn::of(&server.post("/api/v1/auth/login", json!({"username": "ada", "password": "long enough"})));
    let first = server.register("ada");
    let (second, third) = (login(), login());
    let path = format!("/api/v1/players/{}", first.id);
    for body in ["", "{", "[]", r#"{"refresh_token":7}"#, r#"{"refresh_token":"nobody's"}"#] {
        let answer = server.send("POST", "/api/v1/auth/logout", &[("authorization", "Bearer nobody's")], body);
        assert_eq!((answer.status, answer.body), (200, json!({"success": true})), "{body}");
    }
    assert!(server.live.ended.lock().is_empty());
    server.with_token("POST", "/api/v1/auth/logout", &first.access, "");
    assert_eq!(server.get(&path, &first).status, 401);
    assert_eq!(server.post("/api/v1/auth/refresh", json!({"refresh_token": first.refresh})).status, 401);
    server.post("/api/v1/auth/logout", json!({"refresh_token": second.refresh}));
    assert_eq!(server.get(&path, &second).status, 401, "its access token does not outlive it");
    assert_eq!(server.get(&path, &third).status, 200, "other sign-ins go on");
    assert_eq!(server.live.ended.lock().len(), 2);
}

#[test]
fn a_guest_comes_back_and_becomes_an_account() {
    let server = serve(|_| ());
    let guest =
        |secret: &str| server.post("/api/v1/auth/guest", json!({"device_id": "phone", "device_secret": secret}));
    let secret = "c2VjcmV0IG9mIHRoZSBkZXZpY2UsIDMyIGJ5dGVz";
    let created = guest(secret);
    assert_eq!((created.status, &created.body["created"], &created.body["guest"]), (200, &json!(true), &json!(true)));
    assert!(created.body["username"].as_str().is_some_and(|name| name.starts_with("guest_")), "{}", created.body);
    let first = SignedIn::of(&created);
    let again = guest(secret);
    assert_eq!(again.body["created"], false, "only the first time");
    let second = SignedIn::of(&again);
    assert_eq!(second.id, first.id);
    let wrong = guest(&secret.replace('c', "d"));
    assert_eq!((wrong.status, wrong.code()), (401, "guest.invalid_device_secret"));

    server.register("taken");
    let upgrade = |who: &SignedIn, name: &str| {
        let wanted = json!({"username": name, "password": "long enough"}).to_string();
        server.with_token("POST", "/api/v1/auth/guest/upgrade", &who.access, &wanted)
    };
    assert_eq!(upgrade(&first, "taken").code(), "auth.username_taken");
    assert_eq!(upgrade(&first, "x").code(), "validation_failed");
    let upgraded = upgrade(&first, "grace");
    assert_eq!((upgraded.status, &upgraded.body["upgraded"]), (200, &json!(true)), "{}", upgraded.body);
    let account = SignedIn::of(&upgraded);
    assert_eq!(account.id, first.id, "with everything it has");
    let path = format!("/api/v1/players/{}", first.id);
    assert_eq!(server.get(&path, &first).status, 401);
    assert_eq!(server.get(&path, &second).status, 401, "whoever knew the secret is out");
    assert_eq!(server.get(&path, &account).body["display_name"], "grace");
    let ended = std::mem::take(&mut *server.live.ended.lock());
    assert!(matches!(&ended[..], [(who, Ended::Claimed)] if who.len() == 1), "the claiming socket stays: {ended:?}");
    assert_eq!(upgrade(&account, "again").code(), "guest.not_unclaimed");
    let login = server.post("/api/v1/auth/login", json!({"username": "grace", "password": "long enough"}));
    assert_eq!(SignedIn::of(&login).id, first.id);
    let late = guest(secret);
    assert_eq!(
        (late.status, late.code()),
        (401, "guest.already_upgraded"),
        "the device's secret opens nothing any more"
    );
    let wrong = guest(&secret.replace('c', "d"));
    assert_eq!(wrong.code(), "guest.invalid_device_secret", "and nobody else learns what became of the guest");
}

#[test]
fn a_banned_player_is_told_so_and_nobody_else_is() {
    let server = serve(|_| ());
    let ada = server.register("ada");
    let until_ms = START_MS + 60_000;
    let ban = BanRow {
        player_id: ada.id,
        reason: "cheating".into(),
        until_unix_ms: Some(until_ms),
        created_unix_ms: START_MS,
    };
    server.keep(|store, done| store.ban(ban, done));
    let login = |password: &str| server.post("/api/v1/auth/login", json!({"username": "ada", "password": password}));
    let refused = login("long enough");
    assert_eq!((refused.status, refused.code()), (403, "auth.banned"));
    assert_eq!(refused.body["error"]["details"], json!({"reason": "cheating", "until_ms": until_ms}));
    assert_eq!(login("wrong password").code(), "auth.invalid_credentials");
    // Whoever holds her tokens is told why they open nothing, and that they are worth nothing afterwards.
    let refresh = || server.post("/api/v1/auth/refresh", json!({"refresh_token": ada.refresh}));
    let path = format!("/api/v1/players/{}", ada.id);
    for refused in [refresh(), server.get(&path, &ada)] {
        assert_eq!((refused.status, refused.code()), (403, "auth.banned"));
        assert_eq!(refused.body["error"]["details"], json!({"reason": "cheating", "until_ms": until_ms}));
    }
    server.pass(60_000);
    assert_eq!((refresh().status, server.get(&path, &ada).status), (401, 401));
    assert_eq!(login("long enough").status, 200, "until the ban has run out");
}

#[test]
fn browsers_may_call_from_the_origins_that_the_operator_named() {
    let named = serve(|_| ());
    let any = serve(|rules| rules.allowed_origins = vec!["*".into()]);
    let none = serve(|rules| rules.allowed_origins.clear());
    for (server, origin, expected) in [
        (&named, "https://play.example", Some("https://play.example")),
        (&named, "https://evil.example", None),
        (&named, "https://play.example.evil.example", None),
        (&any, "https://evil.example", Some("*")),
        (&none, "https://play.example", None),
    ] {
        let asked = [("origin", origin), ("access-control-request-method", "PUT")];
        let preflight = server.send("OPTIONS", "/api/v1/players/x", &asked, "");
        assert_eq!(preflight.status, 204);
        let allowed = |answer: &Answer| answer.headers.get("access-control-allow-origin").cloned();
        assert_eq!(allowed(&preflight).as_deref(), expected, "{origin}");
        assert!(preflight.headers["access-control-allow-methods"].contains("PUT"));
        assert!(preflight.headers["access-control-allow-headers"].contains("authorization"));
        let answer = server.send("GET", "/api/v1/matches", &[("origin", origin)], "");
        assert_eq!((answer.status, allowed(&answer).as_deref()), (401, expected), "errors are readable, too");
        assert_eq!(answer.headers["vary"], "origin");
    }
    assert_eq!(any.send("GET", "/api/v1/matches", &[], "").headers.get("access-control-allow-origin"), None);
}

#[test]
fn an_address_that_calls_too_often_is_told_when_to_come_back() {
    let rates = HttpRates { registers_per_s: 3, auths_per_s: 5, api_per_s: 10 };
    let server = serve(|rules| {
        rules.rates = rates;
        rules.trusts_proxy = Arc::new(|ip| ip.is_loopback());
    });
    let passed = |method: &str, path: &str, from: &str| {
        let calls = (0..40).map(|_| server.send(method, path, &[("x-forwarded-for", from)], "{}"));
        calls.filter(|answer| answer.status != 429).count()
    };
    assert_eq!(passed("POST", "/api/v1/auth/register", "1.1.1.1"), 30, "the burst");
    assert_eq!(passed("POST", "/api/v1/auth/login", "1.1.1.1"), 30, "of its own");
    assert_eq!(passed("GET", "/api/v1/matches", "1.1.1.1"), 10);
    assert_eq!(passed("POST", "/api/v1/auth/register", "2.2.2.2"), 30, "another address");
    assert_eq!(
        passed("POST", "/api/v1/auth/register", "2.2.2.2, 1.1.1.1"),
        0,
        "what a client claims counts for nothing"
    );
    let refused = server.send("POST", "/api/v1/auth/register", &[("x-forwarded-for", "1.1.1.1")], "{}");
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.body["error"]["details"], json!({"retry_ms": 334, "retry_after": 1}));
    server.pass(1_000);
    assert_eq!(passed("POST", "/api/v1/auth/register", "1.1.1.1"), 3);
    assert_eq!(server.send("GET", "/health", &[], "").status, 200, "health is not counted");

    let off = serve(|_| ());
    assert!((0..100).all(|_| off.send("POST", "/api/v1/auth/login", &[], "{}").status == 400), "0 is off");
}

#[test]
fn players_change_what_others_see_of_them_and_of_nobody_else() {
    let server = serve(|_| ());
    let (ada, bob) = (server.register("ada"), server.register("bob"));
    let put = |who: &SignedIn, of: &str, body: &str| {
        server.with_token("PUT", &format!("/api/v1/players/{of}"), &who.access, body)
    };
    let of_ada = ada.id.to_string();
    assert_eq!(put(&ada, &of_ada, r#"{"display_name":"Countess"}"#).body["display_name"], "Countess");
    assert_eq!(put(&ada, &of_ada, "{}").body["display_name"], "Countess", "nothing asked, nothing changed");
    assert_eq!(put(&ada, &of_ada, r#"{"display_name":"\u200b"}"#).code(), "validation_failed");
    assert_eq!(put(&bob, &of_ada, r#"{"display_name":"Duchess"}"#).code(), "forbidden");
    assert_eq!(server.get(&format!("/api/v1/players/{of_ada}"), &bob).body["display_name"], "Countess");
    for nobody in ["x", "00000000-0000-0000-0000-000000000000"] {
        let answer = server.get(&format!("/api/v1/players/{nobody}"), &bob);
        assert_eq!((answer.status, answer.code()), (404, "player.not_found"));
    }
}

#[test]
fn records_are_for_everybody_and_votes_for_those_who_were_there() {
    let server = serve(|_| ());
    let (ada, bob) = (server.register("ada"), server.register("bob"));
    let id = MatchId::new(START_MS, &mut rng());
    let record = MatchRow {
        id,
        mode: "arena".into(),
        status: "finished".into(),
        result: r#"{"winner":"ada"}"#.into(),
        started_unix_ms: START_MS,
        finished_unix_ms: START_MS + 60_000,
    };
    let part =
        ParticipantRow { player_id: ada.id, bot: false, outcome: Outcome::Won, stats: Some(r#"{"kills":3}"#.into()) };
    server.keep(|store, done| store.finish_match(record, vec![part], done));
    let vote = VoteRow {
        id: "map".parse().expect("an id"),
        match_id: id,
        template: "map_vote".into(),
        status: "decided".into(),
        visibility: "hidden".into(),
        opened_unix_ms: START_MS,
        closed_unix_ms: START_MS + 1_000,
        record: r#"{"winner":"jungle","counts":{"jungle":1}}"#.into(),
    };
    let audit = r#"{"format":"audit/1","z":1,"a":2}"#;
    server.keep(|store, done| store.record_vote(vote, Box::new(move || audit.into()), done));

    let listed = server.get("/api/v1/matches?mode=arena&limit=1000&x=%zz", &bob);
    let shown = json!({"id": id, "match_id": id, "mode": "arena", "status": "finished", "result": {"winner": "ada"},
                       "started_at": "2026-04-15T10:20:00Z", "finished_at": "2026-04-15T10:21:00Z",
                       "inserted_at": "2026-04-15T10:21:00Z"});
    assert_eq!(listed.body, json!({"matches": [shown]}));
    for (query, count) in [("mode=demo", 0), ("status=finished", 1), ("status=cancelled", 0), ("limit=0", 1), ("", 1)] {
        let answer = server.get(&format!("/api/v1/matches?{query}"), &ada);
        assert_eq!(answer.body["matches"].as_array().map(Vec::len), Some(count), "{query}");
    }
    let long = "x".repeat(65);
    for (query, code) in [
        ("limit=many".to_owned(), "match.invalid_limit_filter"),
        ("limit=1.5".to_owned(), "match.invalid_limit_filter"),
        (format!("status={long}"), "match.invalid_status_filter"),
        ("status=a%0Ab".to_owned(), "match.invalid_status_filter"),
        (format!("mode={long}"), "match.invalid_mode_filter"),
    ] {
        let refused = server.get(&format!("/api/v1/matches?{query}"), &ada);
        assert_eq!((refused.status, refused.code()), (400, code), "{query}");
    }

    assert_eq!(server.get(&format!("/api/v1/matches/{id}"), &bob).body, shown, "without the roster");
    let own = server.get(&format!("/api/v1/matches/{id}"), &ada).body;
    let players = json!([{"player_id": ada.id, "bot": false, "outcome": "won", "stats": {"kills": 3}}]);
    assert_eq!(own["players"], players);
    assert_eq!(server.get("/api/v1/matches/x", &ada).code(), "match.not_found");
    let me = server.get(&format!("/api/v1/players/{}", ada.id), &ada).body;
    assert_eq!(me["stats"], json!([{"mode": "arena", "played": 1, "won": 1, "lost": 0, "drawn": 0, "forfeited": 0}]));

    let shown = json!({"id": "map", "vote_id": "map", "match_id": id, "template": "map_vote", "status": "decided",
                       "visibility": "hidden", "opened_at": "2026-04-15T10:20:00Z", "closed_at": "2026-04-15T10:20:01Z",
                       "winner": "jungle", "counts": {"jungle": 1}});
    assert_eq!(server.get(&format!("/api/v1/matches/{id}/votes"), &ada).body, json!({"votes": [shown]}));
    assert_eq!(server.get("/api/v1/votes/map", &ada).body, shown);
    assert_eq!(server.get("/api/v1/votes/map/audit", &ada).body, serde_json::from_str::<Value>(audit).expect("JSON"));
    for path in [&format!("/api/v1/matches/{id}/votes"), "/api/v1/votes/map", "/api/v1/votes/map/audit"] {
        let answer = server.get(path, &bob);
        assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{path}");
    }
    for path in ["/api/v1/votes/none", "/api/v1/votes/%20", "/api/v1/votes/none/audit"] {
        assert_eq!(server.get(path, &ada).code(), "vote.not_found", "{path}");
    }
}

#[test]
fn histories_are_read_by_those_who_may_hear_them() {
    let server = serve(|_| ());
    let (ada, bob, eve) = (server.register("ada"), server.register("bob"), server.register("eve"));
    let dm = format!("dm:{}:{}", ada.id.min(bob.id), ada.id.max(bob.id));
    let mut rng = rng();
    for (n, (channel, sender)) in
        [("lobby", Some(ada.id)), ("lobby", None), ("room:den", None), (&dm, Some(bob.id))].into_iter().enumerate()
    {
        let line = ChatRow {
            message_id: MessageId::new(n as u64, &mut rng),
            channel_id: channel.into(),
            seq: 0,
            sender_id: sender,
            content: format!("line {n}"),
            sent_unix_ms: START_MS + n as u64,
            edited_unix_ms: None,
        };
        server.keep(|store, done| store.append_chat(line, done));
    }
    server.live.members.lock().push((ada.id, "room:den".into()));
    let history = |path: &str, who: &SignedIn| server.get(&format!("/api/v1/{path}"), who);
    let lobby = history("chat/lobby/history", &eve).body;
    let said: Vec<_> = lobby["messages"].as_array().expect("a list").iter().map(|line| &line["content"]).collect();
    assert_eq!(said, ["line 0", "line 1"], "oldest first");
    assert_eq!(lobby["messages"][0]["sender_id"], json!(ada.id));
    assert_eq!(lobby["messages"][0]["sent_at"], START_MS);
    assert_eq!(lobby["messages"][1]["sender_id"], "server");
    assert_eq!(history("chat/lobby/history?limit=1", &eve).body["messages"][0]["content"], "line 1", "the newest");
    for (path, who, status) in [
        ("chat/room:den/history", &ada, 200),
        ("chat/room:den/history", &bob, 403),
        ("chat/room%3Aden/history", &ada, 200),
        ("chat/nowhere/history", &ada, 403),
        ("chat/match:x/history", &ada, 403),
        (&format!("chat/{dm}/history"), &bob, 200),
        (&format!("chat/{dm}/history"), &eve, 403),
        (&format!("chat/dm:{}:{}/history", eve.id, eve.id), &eve, 200),
        (&format!("chat/dm:{}:{}/history", eve.id, eve.id), &bob, 403),
        (&format!("chat/{dm}:{}/history", eve.id), &eve, 403),
        ("chat/lobby/history?limit=x", &ada, 400),
    ] {
        assert_eq!(history(path, who).status, status, "{path}");
    }
    let direct = history(&format!("dm/{}/history", bob.id), &ada).body;
    assert_eq!((&direct["channel_id"], &direct["messages"][0]["content"]), (&json!(dm), &json!("line 3")));
    assert_eq!(history(&format!("dm/{}/history", bob.id), &eve).body["messages"], json!([]));
    assert_eq!(history("dm/x/history", &eve).code(), "player.not_found");
}

#[test]
fn nobody_blocks_more_players_than_are_kept() {
    let server = serve(|_| ());
    let (ada, bob, eve) = (server.register("ada"), server.register("bob"), server.register("eve"));
    for number in 1..BLOCKS_MAX {
        server.keep(|store, done| store.block(ada.id, PlayerId::from_u128(number as u128), done));
    }
    let block = |method: &str, whom: &SignedIn| {
        server.with_token(method, &format!("/api/v1/blocks/{}", whom.id), &ada.access, "")
    };
    assert_eq!(block("PUT", &bob).status, 200, "the last that fits");
    let refused = block("PUT", &eve);
    assert_eq!((refused.status, refused.code()), (429, "player.too_many_blocks"));
    assert_eq!(refused.body["error"]["details"], json!({"blocks_max": BLOCKS_MAX}));
    assert_eq!(block("PUT", &bob).status, 200, "nothing more is kept by that");
    assert_eq!(block("DELETE", &bob).status, 200);
    assert_eq!(block("PUT", &eve).status, 200, "one was lifted");
}

#[test]
fn notifications_are_ones_own() {
    let server = serve(|_| ());
    let (ada, bob) = (server.register("ada"), server.register("bob"));
    let id = NotificationId::new(START_MS, &mut rng());
    let row = NotificationRow {
        id,
        player_id: ada.id,
        kind: "announcement".into(),
        subject: "Hello".into(),
        content: r#"{"text":"hi"}"#.into(),
        sent_unix_ms: START_MS,
        read: false,
    };
    server.keep(|store, done| store.notify(vec![row], done));
    let mut shown = json!({"id": id, "type": "announcement", "subject": "Hello", "content": {"text": "hi"},
                           "sent_at": START_MS, "read": false});
    assert_eq!(server.get("/api/v1/notifications", &ada).body, json!({"notifications": [shown]}));
    assert_eq!(server.get("/api/v1/notifications", &bob).body, json!({"notifications": []}));
    let one = format!("/api/v1/notifications/{id}");
    assert_eq!(server.with_token("PUT", &format!("{one}/read"), &bob.access, "").code(), "notification.not_found");
    shown["read"] = json!(true);
    assert_eq!(server.with_token("PUT", &format!("{one}/read"), &ada.access, "").body, shown);
    assert_eq!(server.get("/api/v1/notifications?read=false", &ada).body, json!({"notifications": []}));
    assert_eq!(server.get("/api/v1/notifications?read=maybe", &ada).code(), "invalid_field");
    assert_eq!(server.with_token("DELETE", &one, &bob.access, "").code(), "notification.not_found");
    assert_eq!(server.with_token("DELETE", &one, &ada.access, "").body, json!({"success": true}));
    assert_eq!(server.with_token("DELETE", &one, &ada.access, "").status, 404);
    assert_eq!(server.with_token("DELETE", "/api/v1/notifications/x", &ada.access, "").status, 404);
}

#[test]
fn nothing_personal_is_shown_before_signing_in() {
    let server = serve(|_| ());
    let ada = server.register("ada");
    for (method, path) in [
        ("GET", format!("/api/v1/players/{}", ada.id)),
        ("PUT", format!("/api/v1/players/{}", ada.id)),
        ("GET", "/api/v1/matches".into()),
        ("GET", "/api/v1/matches/x".into()),
        ("GET", "/api/v1/matches/x/votes".into()),
        ("GET", "/api/v1/votes/x".into()),
        ("GET", "/api/v1/votes/x/audit".into()),
        ("GET", "/api/v1/chat/lobby/history".into()),
        ("GET", format!("/api/v1/dm/{}/history", ada.id)),
        ("GET", "/api/v1/notifications".into()),
        ("PUT", "/api/v1/notifications/x/read".into()),
        ("DELETE", "/api/v1/notifications/x".into()),
    ] {
        let answer = server.send(method, &path, &[], "{}");
        assert_eq!((answer.status, answer.code()), (401, "unauthenticated"), "{method} {path}");
    }
}

#[test]
fn health_and_readiness_are_two_things() {
    let server = serve(|_| ());
    assert_eq!(server.send("GET", "/health", &[], "").body, json!({"status": "ok"}));
    assert_eq!(server.send("GET", "/ready", &[], "").body, json!({"status": "ready"}));
    server.live.draining.store(true, Ordering::Relaxed);
    assert_eq!(server.send("GET", "/health", &[], "").status, 200);
    let ready = server.send("GET", "/ready", &[], "");
    assert_eq!((ready.status, ready.code()), (503, "not_ready"));
    server.store.close();
    let closed = server.post("/api/v1/auth/login", json!({"username": "ada", "password": "long enough"}));
    assert_eq!((closed.status, closed.code()), (503, "draining"));
}
