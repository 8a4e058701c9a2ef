//! The store on SQLite: one file in WAL mode, one thread that writes, a few that read.
//!
//! Writes are committed in groups: the writer takes what is waiting, up to [`limits::STORE_BATCH_MAX`], runs it in one
//! transaction (each write in a savepoint of its own, so that one failure spoils no neighbour), commits with an fsync
//! (`synchronous=FULL`) and only then runs the completions. Under load the price of the fsync is shared by the batch.
//!
//! `:memory:` keeps nothing: it has one connection, and the writer does the reading too.

mod accounts;
mod chat;
mod columns;
mod desk;
mod migrations;
mod records;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OpenFlags};

use super::metrics::Metrics;
use super::rows::*;
use super::{Done, Store, StoreError, StoreStats};
use crate::ids::{MatchId, MessageId, NotificationId, PlayerId, VoteId};
use crate::limits;

/// The file inside the data folder.
const FILE: &str = "tessera.db";

/// How long a connection waits for another process (a backup, a shell) to let go of the file.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The store that ships. Cheap to share behind an `Arc`; dropping the last handle closes it.
pub struct SqliteStore {
    writes: Arc<Queue>,
    /// None for `:memory:`, where the writer reads.
    reads: Option<Queue>,
    metrics: Arc<Metrics>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens the store in the folder `data`, making both if they are missing, or in memory for `:memory:`, and brings
    /// an older file up to date. Fails, in a sentence, when the folder cannot be used, the file is no database, or it
    /// was written by a newer version.
    pub fn open(data: &str) -> Result<Self, StoreError> {
        let metrics = Arc::new(Metrics::new());
        let in_memory = data == ":memory:";
        let mut readers = Vec::new();
        let mut writer;
        if in_memory {
            writer = Connection::open_in_memory().map_err(failed)?;
            migrations::bring_up_to_date(&mut writer)?;
        } else {
            let folder = Path::new(data);
            make_private_folder(folder)?;
            let file = folder.join(FILE);
            let unusable = |e: rusqlite::Error| StoreError::Failed(format!("{}: {e}", file.display()));
            writer = Connection::open(&file).map_err(unusable)?;
            writer.busy_timeout(LOCK_WAIT).map_err(unusable)?;
            writer.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL").map_err(unusable)?;
            migrations::bring_up_to_date(&mut writer)?;
            for _ in 0..limits::STORE_READERS {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let reader = Connection::open_with_flags(&file, flags).map_err(unusable)?;
                reader.busy_timeout(LOCK_WAIT).map_err(unusable)?;
                reader.execute_batch("PRAGMA query_only=1").map_err(unusable)?;
                readers.push(reader);
            }
        }

        let mut threads = Vec::new();
        let (writes, waiting) = sync_channel(limits::STORE_WRITES_WAITING_MAX);
        let counted = Arc::clone(&metrics);
        threads.push(start_thread("store-write", move || write_loop(&writer, &waiting, &counted))?);

        let (reads, waiting) = sync_channel(limits::STORE_READS_WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for reader in readers {
            let waiting = Arc::clone(&waiting);
            threads.push(start_thread("store-read", move || read_loop(&reader, &waiting))?);
        }
        Ok(Self {
            writes: Arc::new(Queue::new(writes)),
            reads: (!in_memory).then(|| Queue::new(reads)),
            metrics,
            threads: Mutex::new(threads),
        })
    }

    /// Queues a write; `done` runs after its commit, or at once when the queue is full.
    fn write<T: Send + 'static>(
        &self,
        done: Done<T>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) {
        self.writes.put(Call::boxed(Kind::Write, &self.metrics, done, work), &self.metrics);
    }

    /// Queues a read.
    fn read<T: Send + 'static>(
        &self,
        done: Done<T>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) {
        let queue = self.reads.as_ref().unwrap_or(&self.writes);
        queue.put(Call::boxed(Kind::Read, &self.metrics, done, work), &self.metrics);
    }

    /// Looks for one thing among what is on disk, and if it is not there, behind everything that waits to be written:
    /// whoever was told that a vote is over finds its record.
    fn find<T: Send + 'static>(
        &self,
        done: Done<Option<T>>,
        work: impl Fn(&Connection) -> rusqlite::Result<Option<T>> + Send + Sync + 'static,
    ) {
        let work = Arc::new(work);
        let again = Arc::clone(&work);
        let (writes, metrics) = (Arc::clone(&self.writes), Arc::clone(&self.metrics));
        let found = move |found| match found {
            Ok(None) => writes.put(Call::boxed(Kind::Read, &metrics, done, move |db| again(db)), &metrics),
            other => done(other),
        };
        self.read(Box::new(found), move |db| work(db));
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// Forwards each method to the function of the same name that knows its SQL.
macro_rules! forward {
    ($lane:ident $floor:ident: $($name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)+) => {$(
        fn $name(&self, $($arg: $ty,)* done: Done<$out>) {
            self.$lane(done, move |db| $floor::$name(db, $($arg),*));
        }
    )+};
}

impl Store for SqliteStore {
    forward! { write accounts:
        create_player(player: NewPlayer, tokens: NewTokens) -> Creation;
        create_guest(player: NewPlayer, device: DeviceRow, tokens: NewTokens) -> Creation;
        claim_guest(claim: Claim, tokens: NewTokens) -> (Creation, Vec<SignIn>);
        set_display_name(id: PlayerId, display_name: String) -> Option<PlayerRow>;
        issue_tokens(tokens: NewTokens) -> Issue;
        rotate_refresh(rotate: Rotate) -> Rotation;
        revoke(what: Revoke) -> Vec<SignIn>;
        sweep(now_unix_ms: u64) -> u64;
        ban(ban: BanRow) -> Option<Vec<SignIn>>;
        unban(id: PlayerId) -> bool;
        mute(mute: MuteRow) -> ();
        block(player: PlayerId, blocked: PlayerId) -> ();
        unblock(player: PlayerId, blocked: PlayerId) -> bool;
    }
    forward! { read accounts:
        player(id: PlayerId) -> Option<PlayerRow>;
        player_by_username(username_key: String) -> Option<PlayerRow>;
        device(device: SecretHash) -> Option<DeviceRow>;
        access_token(hash: SecretHash) -> Option<AccessRow>;
        mutes(id: PlayerId) -> Vec<MuteRow>;
        active_mutes(now_unix_ms: u64) -> Vec<MuteRow>;
        blocks(player: PlayerId) -> Vec<PlayerId>;
        blocked_between(by: PlayerId, other: PlayerId) -> Option<Block>;
        blocked_among(player: PlayerId, others: Vec<PlayerId>) -> Option<PlayerId>;
    }
    forward! { write chat:
        append_chat(line: ChatRow) -> u64;
        change_chat(change: ChatChange) -> Changed;
    }
    forward! { read chat:
        chat_line(channel_id: String, message_id: MessageId) -> Option<ChatRow>;
        chat_history(channel_id: String, limit: u32) -> Vec<ChatRow>;
    }
    forward! { write records:
        begin_match(running: RunningRow, players: Vec<PlayerId>) -> ();
        end_interrupted(now_unix_ms: u64) -> u64;
        finish_match(record: MatchRow, participants: Vec<ParticipantRow>) -> bool;
        record_vote(vote: VoteRow, audit: AuditText) -> bool;
    }
    forward! { read records:
        matches(filter: MatchFilter) -> Vec<MatchRow>;
        match_record(id: MatchId) -> Option<(MatchRow, Vec<ParticipantRow>)>;
        stats_of(id: PlayerId) -> Vec<StatsRow>;
        votes_of_match(id: MatchId, limit: u32) -> Vec<VoteRow>;
    }
    forward! { write desk:
        notify(notifications: Vec<NotificationRow>) -> ();
        read_notification(of: PlayerId, id: NotificationId) -> Option<NotificationRow>;
        delete_notification(of: PlayerId, id: NotificationId) -> bool;
        audit(row: AuditRow) -> ();
        kv_put(scope: String, row: KvRow) -> ();
        kv_delete(scope: String, key: String) -> bool;
        kv_within(scopes: String, limit: u32) -> Vec<(String, KvRow)>;
    }
    forward! { read desk:
        notifications(id: PlayerId, read: Option<bool>, limit: u32) -> Vec<NotificationRow>;
        audit_trail(limit: u32) -> Vec<AuditRow>;
        kv_get(scope: String, key: String) -> Option<KvRow>;
        kv_list(scope: String, prefix: String, limit: u32) -> Vec<KvRow>;
    }

    fn vote(&self, id: VoteId, done: Done<Option<VoteRow>>) {
        self.find(done, move |db| records::vote(db, id.clone()));
    }

    fn vote_audit(&self, id: VoteId, done: Done<Option<String>>) {
        self.find(done, move |db| records::vote_audit(db, id.clone()));
    }

    fn stats(&self) -> StoreStats {
        self.metrics.stats()
    }

    fn close(&self) {
        self.writes.close();
        if let Some(reads) = &self.reads {
            reads.close();
        }
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // The last handle may be dropped by a completion, that is on one of these threads: it cannot wait for
            // itself, and it ends by itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// The folder holds password hashes: nobody but its owner reads it. A folder that exists keeps its mode.
fn make_private_folder(folder: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| StoreError::Failed(format!("{}: {e}", folder.display())))
}

fn start_thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    thread::Builder::new().name(name.into()).spawn(body).map_err(|e| StoreError::Failed(e.to_string()))
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// One bounded queue into the store's threads.
struct Queue(RwLock<Option<SyncSender<Box<dyn Job>>>>);

impl Queue {
    fn new(sender: SyncSender<Box<dyn Job>>) -> Self {
        Self(RwLock::new(Some(sender)))
    }

    /// Never blocks: a full or closed queue is told to the caller there and then.
    fn put(&self, job: Box<dyn Job>, metrics: &Metrics) {
        metrics.queue_len.fetch_add(1, Ordering::Relaxed);
        let refused = match &*self.0.read() {
            None => Some((job, StoreError::Closed)),
            Some(sender) => match sender.try_send(job) {
                Ok(()) => None,
                Err(TrySendError::Full(job)) => Some((job, StoreError::Busy)),
                Err(TrySendError::Disconnected(job)) => Some((job, StoreError::Closed)),
            },
        };
        // Outside the lock: the completion may call the store again.
        if let Some((job, why)) = refused {
            if why == StoreError::Busy {
                metrics.busy.fetch_add(1, Ordering::Relaxed);
            }
            job.tell(Some(&why));
        }
    }

    fn close(&self) {
        *self.0.write() = None;
    }
}

/// A call on its way through a thread.
trait Job: Send {
    /// Does the work; whether it went well.
    fn run(&mut self, db: &Connection) -> bool;
    /// Tells the caller: the work's own outcome, or the failure of what was around it.
    fn tell(self: Box<Self>, failure: Option<&StoreError>);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Read,
}

struct Call<T, F> {
    kind: Kind,
    since: Instant,
    metrics: Arc<Metrics>,
    work: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    done: Option<Done<T>>,
}

impl<T: Send + 'static, F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static> Call<T, F> {
    fn boxed(kind: Kind, metrics: &Arc<Metrics>, done: Done<T>, work: F) -> Box<dyn Job> {
        Box::new(Self {
            kind,
            since: Instant::now(),
            metrics: Arc::clone(metrics),
            work: Some(work),
            outcome: None,
            done: Some(done),
        })
    }
}

impl<T: Send, F: FnOnce(&Connection) -> rusqlite::Result<T> + Send> Job for Call<T, F> {
    fn run(&mut self, db: &Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        let outcome = match catch_unwind(AssertUnwindSafe(|| work(db))) {
            Ok(outcome) => outcome.map_err(failed),
            Err(_) => Err(StoreError::Failed("a store operation panicked".into())),
        };
        let well = outcome.is_ok();
        self.outcome = Some(outcome);
        well
    }

    fn tell(mut self: Box<Self>, failure: Option<&StoreError>) {
        let outcome = match failure {
            Some(failure) => Err(failure.clone()),
            None => self.outcome.take().unwrap_or(Err(StoreError::Closed)),
        };
        if let Err(StoreError::Failed(why)) = &outcome {
            self.metrics.errors.fetch_add(1, Ordering::Relaxed);
            tracing::error!(why, "a store operation failed");
        }
        if failure.is_none() {
            let latency = if self.kind == Kind::Write { &self.metrics.writes } else { &self.metrics.reads };
            latency.record(self.since.elapsed());
        }
        if let Some(done) = self.done.take() {
            // A completion that panics is its owner's trouble; the thread serves everybody.
            if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
                tracing::error!("a completion of the store panicked");
            }
        }
    }
}

impl<T, F> Drop for Call<T, F> {
    fn drop(&mut self) {
        self.metrics.queue_len.fetch_sub(1, Ordering::Relaxed);
    }
}

fn write_loop(db: &Connection, waiting: &Receiver<Box<dyn Job>>, metrics: &Metrics) {
    db.set_prepared_statement_cache_capacity(limits::STORE_STATEMENTS_CACHED);
    let mut batch = Vec::with_capacity(limits::STORE_BATCH_MAX);
    while let Ok(first) = waiting.recv() {
        batch.push(first);
        while batch.len() < limits::STORE_BATCH_MAX
            && let Ok(job) = waiting.try_recv()
        {
            batch.push(job);
        }
        let committed = commit(db, &mut batch);
        if committed.is_ok() {
            metrics.commits.fetch_add(1, Ordering::Relaxed);
        }
        for job in batch.drain(..) {
            job.tell(committed.as_ref().err());
        }
    }
}

/// Runs a batch as one transaction. An error here is the batch's: nothing of it was kept.
fn commit(db: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    let say = |sql: &str| db.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map_err(failed);
    let run = |batch: &mut [Box<dyn Job>]| {
        say("BEGIN IMMEDIATE")?;
        for job in batch {
            say("SAVEPOINT job")?;
            if !job.run(db) {
                // After an error such as a full disk SQLite may already have rolled everything back, and then the
                // whole batch has failed.
                say("ROLLBACK TO job")?;
            }
            say("RELEASE job")?;
        }
        say("COMMIT").map(drop)
    };
    run(batch).inspect_err(|_| {
        if !db.is_autocommit() {
            let _ = say("ROLLBACK");
        }
    })
}

fn read_loop(db: &Connection, waiting: &Mutex<Receiver<Box<dyn Job>>>) {
    db.set_prepared_statement_cache_capacity(limits::STORE_STATEMENTS_CACHED);
    loop {
        // The lock is held while waiting and let go before reading: one reader waits at the queue, the rest at the lock.
        let next = waiting.lock().recv();
        let Ok(mut job) = next else { return };
        job.run(db);
        job.tell(None);
    }
}

#[cfg(test)]
mod tests;
