//! Passwords become argon2id hashes on threads of their own: few, of low priority and behind a short queue, so that a
//! storm of sign-ins is refused with `busy` instead of slowing a tick.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use argon2::{Algorithm, Argon2, Params, Version};
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
    let argon2 = argon2();
    let nobodys = hash(&argon2, "nobody's password", &[0; 16]);
    loop {
        let next = waiting.lock().recv();
        let Ok(next) = next else { return };
        // Whoever asked may have hung up since: then the work is not worth doing.
        match next {
            Work::Hash { tell, .. } if tell.is_closed() => {}
            Work::Verify { tell, .. } if tell.is_closed() => {}
            Work::Hash { password, salt, tell } => {
                let _ = tell.send(hash(&argon2, &password, &salt));
            }
            Work::Verify { password, known, tell } => {
                let same = matches(&argon2, &password, known.as_deref().unwrap_or(&nobodys));
                let _ = tell.send(same && known.is_some());
            }
        }
    }
}

fn hash(argon2: &Argon2<'_>, password: &str, salt: &[u8; 16]) -> String {
    let hash: phc::PasswordHash = argon2
        .hash_password_with_salt(password.as_bytes(), salt)
        .expect("a password of at most 512 bytes and a salt of 16 are in argon2's ranges");
    hash.to_string()
}

/// Verifies with the parameters in the string itself, so that hashes outlive a change of ours.
fn matches(argon2: &Argon2<'_>, password: &str, known: &str) -> bool {
    phc::PasswordHash::new(known).is_ok_and(|known| argon2.verify_password(password.as_bytes(), &known).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_and_knows_its_password() {
        let argon2 = argon2();
        let known = hash(&argon2, "correct horse", &[7; 16]);
        assert!(known.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{known}");
        assert!(matches(&argon2, "correct horse", &known));
        assert!(!matches(&argon2, "correct hors", &known));
        assert!(!matches(&argon2, "correct horse", "no PHC string"));
        assert_ne!(known, hash(&argon2, "correct horse", &[8; 16]));
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
