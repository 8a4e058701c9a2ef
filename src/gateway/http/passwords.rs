//! Passwords become argon2id hashes on threads of their own: few, of low priority and behind a short queue, so that a
//! storm of sign-ins is refused with `busy` instead of slowing a tick.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::limits;

/// What one hash costs: 19 MiB and two passes, the floor that OWASP names for argon2id.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1_024, 2, 1, None).expect("19 MiB, 2 passes and 1 lane are in argon2's ranges");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The queue to the hashing threads. They end when the last handle is dropped.
#[derive(Clone)]
pub struct Passwords(SyncSender<Work>);

/// The queue is full: answer `busy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashingBusy;

enum Work {
    Hash { password: String, salt: [u8; 16], tell: oneshot::Sender<String> },
    Verify { password: String, known: Option<String>, tell: oneshot::Sender<bool> },
}

impl Passwords {
    /// Starts [`limits::HASH_THREADS`] threads.
    pub fn start() -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(limits::HASHES_WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..limits::HASH_THREADS {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name("passwords".into()).spawn(move || work(&waiting))?;
        }
        Ok(Self(queue))
    }

    /// The PHC string of a new password.
    pub async fn hash(&self, password: String, salt: [u8; 16]) -> Result<String, HashingBusy> {
        let (tell, told) = oneshot::channel();
        self.0.try_send(Work::Hash { password, salt, tell }).map_err(|_| HashingBusy)?;
        told.await.map_err(|_| HashingBusy)
    }

    /// Whether `password` is the one behind the PHC string `known`. Without one (nobody has that name) it takes as
    /// long to say no.
    pub async fn verify(&self, password: String, known: Option<String>) -> Result<bool, HashingBusy> {
        let (tell, told) = oneshot::channel();
        self.0.try_send(Work::Verify { password, known, tell }).map_err(|_| HashingBusy)?;
        told.await.map_err(|_| HashingBusy)
    }
}

fn work(waiting: &Mutex<Receiver<Work>>) {
    // Below the ticks: on Linux a thread has a niceness of its own. Where it cannot be had, the queue is still short.
    let _ = rustix::process::nice(10);
    let mut hasher = Hasher::new();
    loop {
        let next = waiting.lock().recv();
        let Ok(next) = next else { return };
        // Whoever asked may have hung up since: then the work is not worth doing.
        match next {
            Work::Hash { tell, .. } if tell.is_closed() => {}
            Work::Verify { tell, .. } if tell.is_closed() => {}
            Work::Hash { password, salt, tell } => {
                let _ = tell.send(hasher.hash(&password, &salt));
            }
            Work::Verify { password, known, tell } => {
                let same = hasher.matches(&password, known.as_deref().unwrap_or(NOBODYS));
                let _ = tell.send(same && known.is_some());
            }
        }
    }
}

/// What a password is held against when nobody has the name: costs as much as any hash of ours, and matches nothing.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes one after the other in the same memory: fresh 19 MiB for each would stay with the allocator, ten times over.
struct Hasher {
    ours: Argon2<'static>,
    blocks: Vec<Block>,
}

impl Hasher {
    fn new() -> Self {
        Self { ours: argon2(), blocks: Vec::new() }
    }

    fn hash(&mut self, password: &str, salt: &[u8; 16]) -> String {
        let ours = self.ours.clone();
        let in_range = "a password of at most 512 bytes and a salt of 16 are in argon2's ranges";
        phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ours.params().try_into().expect("our parameters can be written down"),
            salt: Some(phc::Salt::new(salt).expect(in_range)),
            hash: Some(self.output(&ours, password, salt).expect(in_range)),
        }
        .to_string()
    }

    /// Verifies with the parameters in the string itself, so that hashes outlive a change of ours. Outputs are compared
    /// in constant time.
    fn matches(&mut self, password: &str, known: &str) -> bool {
        let Ok(known) = phc::PasswordHash::new(known) else { return false };
        let algorithm = Algorithm::try_from(known.algorithm.as_str());
        let version = known.version.map_or(Ok(Version::V0x13), Version::try_from);
        let (Ok(algorithm), Ok(version), Ok(params)) = (algorithm, version, Params::try_from(&known)) else {
            return false;
        };
        let argon2 = Argon2::new(algorithm, version, params);
        let salt = known.salt.as_ref().map_or(&[][..], AsRef::as_ref);
        let output = self.output(&argon2, password, salt);
        output.is_some() && output == known.hash
    }

    fn output(&mut self, argon2: &Argon2<'_>, password: &str, salt: &[u8]) -> Option<phc::Output> {
        let blocks = argon2.params().block_count();
        if self.blocks.len() < blocks {
            self.blocks.resize(blocks, Block::new());
        }
        let mut out = [0; phc::Output::MAX_LENGTH];
        let out = out.get_mut(..argon2.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN))?;
        argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut self.blocks[..blocks]).ok()?;
        phc::Output::new(out).ok()
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher, PasswordVerifier};

    use super::*;

    #[test]
    fn a_hash_is_argon2id_and_knows_its_password() {
        let mut hasher = Hasher::new();
        let known = hasher.hash("correct horse", &[7; 16]);
        assert!(known.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{known}");
        assert!(hasher.matches("correct horse", &known));
        assert!(!hasher.matches("correct hors", &known));
        assert!(!hasher.matches("correct horse", "no PHC string"));
        assert_ne!(known, hasher.hash("correct horse", &[8; 16]));
        // What the crate itself says of our strings, and we of strings with parameters that are not ours.
        let plain = Argon2::default();
        assert!(PasswordVerifier::<str>::verify_password(&plain, b"correct horse", &known).is_ok());
        let other = Argon2::new(Algorithm::Argon2i, Version::V0x13, Params::new(64, 3, 2, Some(24)).unwrap());
        let theirs: phc::PasswordHash = other.hash_password_with_salt(b"correct horse", &[9; 16]).unwrap();
        assert!(hasher.matches("correct horse", &theirs.to_string()));
        assert!(!hasher.matches("correct hors", &theirs.to_string()));
        assert!(phc::PasswordHash::new(NOBODYS).is_ok() && !hasher.matches("", NOBODYS));
    }

    #[test]
    fn a_full_queue_is_busy_at_once() {
        let (queue, _waiting) = sync_channel(1);
        let passwords = Passwords(queue);
        let mut first = Box::pin(passwords.verify("a".into(), None));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(first.as_mut().poll(&mut cx).is_pending(), "queued");
        let mut second = Box::pin(passwords.verify("a".into(), None));
        assert_eq!(second.as_mut().poll(&mut cx), std::task::Poll::Ready(Err(HashingBusy)));
    }
}
