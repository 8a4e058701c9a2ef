//! Watching a games folder while its games are played: a saved file is tried first, and only a good one reaches the
//! matches, at their next tick. For development; `reload = "off"` never begins it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use notify::Watcher as _;

use super::discover::{self, ScriptMode};
use super::report::Fault;
use super::script::{Script, Sources};

/// How long a folder has to be quiet before it is read: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(50);

/// What became of a change.
#[derive(Debug)]
pub enum Reload {
    /// Running matches take the new files at their next tick; these are the modes as they read now, for new matches.
    Changed(Vec<ScriptMode>),
    /// Something does not load. Scripts that do not, play on with the files they had.
    Bad(Vec<Fault>),
}

/// A folder being watched, until this is dropped.
pub struct Watch {
    _watcher: notify::RecommendedWatcher,
}

/// Watches `folder` and hands every change that matters to `tell`, on a thread of its own.
///
/// # Errors
/// When the system cannot watch the folder.
pub fn watch(
    folder: &Path,
    scripts: Vec<Arc<Script>>,
    tell: impl Fn(Reload) + Send + 'static,
) -> Result<Watch, notify::Error> {
    let (changed, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the files is an event too, and not one to answer by reading them.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = changed.send(());
        }
    })?;
    watcher.watch(folder, notify::RecursiveMode::Recursive)?;
    let folder = folder.to_owned();
    std::thread::Builder::new().name("lua-reload".into()).spawn(move || follow(&folder, &scripts, &changes, &tell))?;
    Ok(Watch { _watcher: watcher })
}

/// Reads the folder after every burst of changes, until nobody watches any more.
fn follow(folder: &Path, scripts: &[Arc<Script>], changes: &mpsc::Receiver<()>, tell: &dyn Fn(Reload)) {
    while changes.recv().is_ok() {
        loop {
            match changes.recv_timeout(QUIET) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        if let Some(reload) = refresh(folder, scripts) {
            tell(reload);
        }
    }
}

/// Reads the folder and gives each script its new files where it still loads; none when nothing is different.
pub fn refresh(folder: &Path, scripts: &[Arc<Script>]) -> Option<Reload> {
    let sources = match Sources::read(folder) {
        Ok(sources) => Arc::new(sources),
        Err(faults) => return Some(Reload::Bad(faults)),
    };
    let (mut changed, mut faults) = (false, Vec::new());
    for script in scripts {
        match script.replace(sources.clone()) {
            Ok(new) => changed |= new,
            Err(bad) => faults.extend(bad),
        }
    }
    if !faults.is_empty() {
        return Some(Reload::Bad(faults));
    }
    if !changed {
        return None;
    }
    let allowance = scripts.first().map(|script| script.allowance()).unwrap_or_default();
    Some(match discover::read_games(folder, sources, allowance) {
        Ok(games) => Reload::Changed(games.modes),
        Err(faults) => Reload::Bad(faults),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_file_is_tried_and_told() {
        let folder = std::env::temp_dir().join(format!("tessera-reload-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let save = |text: &str| std::fs::write(folder.join("match.lua"), text).unwrap();
        save("function tick(s) return s end");
        let games = discover::discover(&folder).unwrap();
        let scripts = vec![games.modes[0].script.clone()];
        let (told, tales) = mpsc::channel();
        let watch = watch(&folder, scripts.clone(), move |reload| drop(told.send(reload))).unwrap();
        save("match_size = 3\nfunction tick(s) return s end");
        // The deadline is for a machine that never tells; the wait ends with the change.
        match tales.recv_timeout(Duration::from_secs(30)).unwrap() {
            Reload::Changed(modes) => assert_eq!(modes[0].mode(None).unwrap().players.min, 3),
            Reload::Bad(faults) => panic!("{faults:?}"),
        }
        assert_eq!(scripts[0].version(), 1);
        drop(watch);
        save("function tick(s) return");
        assert!(matches!(refresh(&folder, &scripts), Some(Reload::Bad(faults)) if faults[0].file == "match.lua"));
        save("match_size = 3\nfunction tick(s) return s end");
        assert!(refresh(&folder, &scripts).is_none(), "it is what is playing");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
