//! Watching a games folder while its games are played. For development; `reload = "off"` never begins it. What is
//! done about a change, [`Catalogue::refresh`](crate::games::catalogue::Catalogue::refresh) knows.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;

/// How long a folder has to be quiet before it is read: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(50);

/// A folder being watched, until this is dropped.
pub struct Watch {
    _watcher: Arc<Mutex<RecommendedWatcher>>,
}

/// Watches `folder` and calls `changed` after every burst of changes, on a thread of its own. Another folder that is put in
/// its place, as deployments do, is watched from then on.
///
/// # Errors
/// When the system cannot watch the folder.
pub fn watch(folder: &Path, changed: impl Fn() + Send + 'static) -> Result<Watch, notify::Error> {
    let folder = std::path::absolute(folder)?;
    let (touched, touches) = mpsc::channel();
    let at = folder.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the files is an event too, and not one to answer by reading them. Beside the folder others write.
        if let Ok(event) = event
            && !event.kind.is_access()
            && event.paths.iter().any(|path| path.starts_with(&at))
        {
            let _ = touched.send(event.paths.contains(&at));
        }
    })?;
    watcher.watch(&folder, RecursiveMode::Recursive)?;
    if let Some(parent) = folder.parent() {
        // Without it the folder is watched all the same, as long as it is this one.
        let _ = watcher.watch(parent, RecursiveMode::NonRecursive);
    }
    let watcher = Arc::new(Mutex::new(watcher));
    let weak = Arc::downgrade(&watcher);
    std::thread::Builder::new().name("lua-reload".into()).spawn(move || follow(&touches, &folder, &weak, &changed))?;
    Ok(Watch { _watcher: watcher })
}

/// Waits for the end of every burst, until nobody watches any more.
fn follow(
    touches: &mpsc::Receiver<bool>,
    folder: &Path,
    watcher: &Weak<Mutex<RecommendedWatcher>>,
    changed: &dyn Fn(),
) {
    while let Ok(mut itself) = touches.recv() {
        loop {
            match touches.recv_timeout(QUIET) {
                Ok(more) => itself |= more,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        if itself && let Some(watcher) = watcher.upgrade() {
            let mut watcher = watcher.lock();
            // The one that was watched may be gone, and none be there yet.
            let _ = watcher.unwatch(folder);
            let _ = watcher.watch(folder, RecursiveMode::Recursive);
        }
        changed();
    }
}
