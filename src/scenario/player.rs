//! One player: an account, a connection, and everything it was sent.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::{self, Base, Event, Receiver, Sender};
use crate::wire::client::Incoming;

use super::file::{AccountKind, PlayerTable};

/// Frames that wait to be written. A scenario that sends more at once is not about the server.
const OUT_FRAMES_MAX: usize = 100_000;

/// How long signing in and connecting may take.
const SIGN_IN: Duration = Duration::from_secs(10);

/// A frame that was received.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// When.
    pub(super) at: Instant,
    /// Its type; empty when the text was no frame.
    pub(super) kind: String,
    /// What it answers.
    pub(super) cid: Option<Value>,
    /// Its payload.
    pub(super) payload: Value,
    /// All of it.
    pub(super) text: String,
    /// Whether an expectation was met by it already.
    pub(super) taken: bool,
}

/// Everything that one player was sent, over all of its connections.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// In the order of arrival.
    pub(super) seen: Vec<Seen>,
    /// How the present connection ended, with the server's code where it gave one.
    pub(super) closed: Option<Option<u16>>,
    /// Frames that a resume counts.
    counted: u64,
}

/// One player.
pub(super) struct Player {
    pub(super) table: PlayerTable,
    pub(super) id: String,
    /// Its user name and password, where it has an account of its own.
    pub(super) credentials: Option<(String, String)>,
    pub(super) token: String,
    inbox: Rc<RefCell<Inbox>>,
    changed: Rc<Notify>,
    session: Option<String>,
    link: Option<Link>,
}

/// A connection: what is sent goes through the writer, what comes in goes to the inbox.
struct Link {
    out: mpsc::Sender<Out>,
    tasks: [JoinHandle<()>; 2],
}

enum Out {
    Text(String),
    Pong(Vec<u8>),
}

impl Drop for Link {
    fn drop(&mut self) {
        // Both halves of the stream go with their tasks: the server sees the connection end without a word.
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Player {
    /// Gets an account at `base`.
    pub(super) async fn sign_in(base: &Base, table: PlayerTable) -> Result<Self, String> {
        let secret = random_word(40);
        let (path, credentials, body) = match table.account {
            AccountKind::Guest => {
                let body = json!({"device_id": format!("scenario-{}", random_word(24)), "device_secret": secret});
                ("/api/v1/auth/guest", None, body)
            }
            AccountKind::Register => {
                let username = format!("{}_{}", table.name.chars().take(20).collect::<String>(), random_word(8));
                let body = json!({"username": username, "password": secret});
                ("/api/v1/auth/register", Some((username, secret)), body)
            }
        };
        let body = body.to_string();
        let asked = client::request(base, "POST", path, &[], Some(&body));
        let answer = timeout(SIGN_IN, asked)
            .await
            .map_err(|_| format!("{} cannot sign in: no answer in {} s", table.name, SIGN_IN.as_secs()))?
            .map_err(|err| format!("{} cannot sign in: {err}", table.name))?;
        let read: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        match (answer.status, read["player_id"].as_str(), read["access_token"].as_str()) {
            (200, Some(id), Some(token)) => Ok(Self {
                id: id.to_owned(),
                credentials,
                token: token.to_owned(),
                inbox: Rc::default(),
                changed: Rc::default(),
                session: None,
                link: None,
                table,
            }),
            (status, ..) => Err(format!("{} cannot sign in: {status} {}", table.name, answer.body)),
        }
    }

    /// Opens a connection and signs the session in, or resumes the one before. The answer is left in the inbox, and
    /// its cid returned.
    pub(super) async fn connect(&mut self, base: &Base, resume: bool) -> Result<Value, String> {
        self.disconnect();
        let name = self.table.name.clone();
        let opened = timeout(SIGN_IN, client::connect(base, "/ws", &[])).await;
        let socket = opened
            .map_err(|_| format!("{name} cannot connect: no answer in {} s", SIGN_IN.as_secs()))?
            .map_err(|err| format!("{name} cannot connect: {err}"))?;
        self.inbox.borrow_mut().closed = None;
        let (sender, receiver) = socket.split();
        let (out, waiting) = mpsc::channel(OUT_FRAMES_MAX);
        let tasks = [
            actix_rt::spawn(write_all(sender, waiting)),
            actix_rt::spawn(read_all(receiver, out.clone(), self.inbox.clone(), self.changed.clone())),
        ];
        self.link = Some(Link { out, tasks });

        let cid = json!(format!("connect-{}", random_word(8)));
        let mut payload = json!({"token": self.token});
        if let Some(dialect) = &self.table.dialect {
            payload["dialect"] = json!(dialect);
        }
        if resume && let Some(session) = &self.session {
            payload["resume"] = json!({"session_id": session, "received": self.inbox.borrow().counted});
        }
        self.send(&json!({"cid": cid, "type": "session.connect", "payload": payload}).to_string())?;
        let answered = |inbox: &mut Inbox| {
            let answer = inbox.seen.iter().rfind(|seen| seen.cid.as_ref() == Some(&cid))?;
            Some(answer.clone())
        };
        if let Some(answer) = self.wait(Instant::now() + SIGN_IN, answered).await
            && answer.kind == "session.connected"
        {
            self.session = answer.payload["session_id"].as_str().map(str::to_owned);
            if answer.payload["resumed"] != json!(true) {
                // A new session counts from nought, and what came after this frame is part of it already.
                let mut inbox = self.inbox.borrow_mut();
                let after = inbox.seen.iter().rposition(|seen| seen.cid.as_ref() == Some(&cid)).unwrap_or(0);
                inbox.counted = inbox.seen[after..].iter().filter(|seen| counts(&seen.text)).count() as u64;
            }
        }
        Ok(cid)
    }

    /// Drops the connection without a word.
    pub(super) fn disconnect(&mut self) {
        self.link = None;
    }

    /// Sends a text frame.
    pub(super) fn send(&self, text: &str) -> Result<(), String> {
        let sent = self.link.as_ref().map(|link| link.out.try_send(Out::Text(text.to_owned())));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(format!("{} has no connection to send over", self.table.name)),
        }
    }

    /// What it was sent so far.
    pub(super) fn inbox(&self) -> std::cell::Ref<'_, Inbox> {
        self.inbox.borrow()
    }

    /// Waits until `look` finds something in the inbox, at the latest until `deadline`.
    pub(super) async fn wait<T>(&self, deadline: Instant, mut look: impl FnMut(&mut Inbox) -> Option<T>) -> Option<T> {
        loop {
            // Nothing is awaited between the look and the wait, so nothing arrives between them unnoticed.
            if let Some(found) = look(&mut self.inbox.borrow_mut()) {
                return Some(found);
            }
            if timeout_at(deadline, self.changed.notified()).await.is_err() {
                return look(&mut self.inbox.borrow_mut());
            }
        }
    }
}

async fn write_all(mut sender: Sender, mut waiting: mpsc::Receiver<Out>) {
    while let Some(out) = waiting.recv().await {
        let sent = match out {
            Out::Text(text) => sender.text(&text).await,
            Out::Pong(bytes) => sender.pong(&bytes).await,
        };
        if sent.is_err() {
            // The reader learns the same, and says so.
            return;
        }
    }
}

async fn read_all(mut receiver: Receiver, out: mpsc::Sender<Out>, inbox: Rc<RefCell<Inbox>>, changed: Rc<Notify>) {
    loop {
        let ended = match receiver.next().await {
            Ok(Some(Event::Text(text))) => {
                inbox.borrow_mut().take_in(text);
                None
            }
            Ok(Some(Event::Ping(bytes))) => {
                let _ = out.try_send(Out::Pong(bytes));
                None
            }
            Ok(Some(Event::Binary(_))) => None,
            Ok(Some(Event::Closed(said))) => Some(said.map(|(code, _)| code)),
            Ok(None) | Err(_) => Some(None),
        };
        if let Some(code) = ended {
            inbox.borrow_mut().closed.get_or_insert(code);
        }
        changed.notify_one();
        if ended.is_some() {
            return;
        }
    }
}

impl Inbox {
    fn take_in(&mut self, text: String) {
        self.counted += u64::from(counts(&text));
        let (kind, cid, payload) = match Incoming::read(&text) {
            Ok(frame) => {
                let json = |raw: &serde_json::value::RawValue| serde_json::from_str(raw.get()).unwrap_or(Value::Null);
                (frame.kind.clone().into_owned(), frame.cid.map(json), json(frame.payload))
            }
            Err(_) => (String::new(), None, Value::Null),
        };
        self.seen.push(Seen { at: Instant::now(), kind, cid, payload, text, taken: false });
    }
}

fn counts(text: &str) -> bool {
    Incoming::read(text).is_ok_and(|frame| frame.is_counted())
}

fn random_word(len: usize) -> String {
    let mut rng = rand::rng();
    (0..len).map(|_| char::from(b'a' + rng.random_range(0..26))).collect()
}
