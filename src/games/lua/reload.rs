//! Watching a games folder while its games are played. For development; `reload = "off"` never begins it. What is
//! done about a change, [`Catalogue::refresh`](crate::games::catalogue::Catalogue::refresh) knows.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use notify::Watcher as _;

/// How long a folder has to be quiet before it is read: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(50);

/// A folder being watched, until this is dropped.
pub struct Watch {
    _watcher: notify::RecommendedWatcher,
}

/// Watches `folder` and calls `changed` after every burst of changes, on a thread of its own.
///
/// # Errors
/// When the system cannot watch the folder.
pub fn watch(folder: &Path, changed: impl Fn() + Send + 'static) -> Result<Watch, notify::Error> {
    let (touched, touches) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the files is an event too, and not one to answer by reading them.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = touched.send(());
        }
    })?;
    watcher.watch(folder, notify::RecursiveMode::Recursive)?;
    std::thread::Builder::new().name("lua-reload".into()).spawn(move || follow(&touches, &changed))?;
    Ok(Watch { _watcher: watcher })
}

/// Waits for the end of every burst, until nobody watches any more.
fn follow(touches: &mpsc::Receiver<()>, changed: &dyn Fn()) {
    while touches.recv().is_ok() {
        loop {
            match touches.recv_timeout(QUIET) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        changed();
    }
}
