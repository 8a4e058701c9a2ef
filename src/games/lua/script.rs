//! A script and its folder, in memory: matches never read files, and a match that begins while an author saves sees
//! one consistent set of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::budget::Allowance;
use super::report::Fault;
use super::{discover, guard};
use crate::limits::scripts::{SCRIPT_FILE_BYTES_MAX, SCRIPT_FILES_MAX, SCRIPT_FOLDER_DEPTH_MAX};

/// Every `.lua` file of a games folder, by its path inside it (`arena/match.lua`). A file that cannot be used stands
/// here too, with the reason: it is nobody's business but that of the scripts that need it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sources {
    files: BTreeMap<String, Result<Arc<str>, Fault>>,
    /// Whether any of them says anything of stored values.
    pub(super) store: bool,
}

impl Sources {
    /// Reads the folder. Links are not followed, wherever they lead: what is not in the folder is not part of it.
    ///
    /// # Errors
    /// Directories that cannot be read, and too many files.
    pub fn read(folder: &Path) -> Result<Self, Vec<Fault>> {
        let mut sources = Self::default();
        let mut faults = Vec::new();
        sources.read_dir(folder, "", 0, &mut faults);
        if sources.files.len() > SCRIPT_FILES_MAX {
            faults.push(Fault::of_file(".", format!("{} files, at most {SCRIPT_FILES_MAX}", sources.files.len())));
        }
        if faults.is_empty() { Ok(sources) } else { Err(faults) }
    }

    fn read_dir(&mut self, dir: &Path, prefix: &str, depth: usize, faults: &mut Vec<Fault>) {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) => {
                faults.push(Fault::of_file(if prefix.is_empty() { "." } else { prefix }, e.to_string()));
                return;
            }
        };
        for entry in entries.flatten() {
            let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
            if name.starts_with('.') || self.files.len() > SCRIPT_FILES_MAX {
                continue;
            }
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            if kind.is_dir() && depth < SCRIPT_FOLDER_DEPTH_MAX {
                self.read_dir(&entry.path(), &path, depth + 1, faults);
            } else if kind.is_file() && name.ends_with(".lua") {
                self.add(path, read_text(&entry.path()));
            }
        }
    }

    /// Files given as text, by their path inside the folder.
    ///
    /// # Errors
    /// Every file that cannot be used.
    pub fn from_texts<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<Fault>> {
        let mut sources = Self::default();
        for (path, text) in files {
            sources.add(path.to_owned(), Ok(text.to_owned()));
        }
        let faults: Vec<_> = sources.faults().cloned().collect();
        if faults.is_empty() { Ok(sources) } else { Err(faults) }
    }

    fn add(&mut self, path: String, text: Result<String, String>) {
        self.store |= text.as_ref().is_ok_and(|text| text.contains("storage"));
        let usable = match text {
            Err(why) => Err(Fault::of_file(path.clone(), why)),
            Ok(text) => guard::harden(script_of(&text)).map(Into::into).map_err(|(line, why)| Fault {
                file: path.clone(),
                line: Some(line),
                text: why.to_owned(),
            }),
        };
        self.files.insert(path, usable);
    }

    /// The text of the file at this path inside the folder, as Lua is given it; the fault of one that cannot be used.
    pub fn text(&self, path: &str) -> Option<Result<Arc<str>, Fault>> {
        self.files.get(path).cloned()
    }

    /// Whether there is a file at this path inside the folder.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The files that cannot be used.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.files.values().filter_map(|file| file.as_ref().err())
    }

    /// Whether the script at `file` would find everything as it is in `other`: a script sees its own directory.
    fn same_beside(&self, other: &Self, file: &str) -> bool {
        let dir = file.rsplit_once('/').map_or("", |(dir, _)| dir);
        let seen = |(path, _): &(&String, &Result<Arc<str>, Fault>)| {
            dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
        };
        self.files.iter().filter(seen).eq(other.files.iter().filter(seen))
    }
}

/// The text without what is for other readers of the file: a byte order mark, and a first line that names an interpreter,
/// of which the end stays, so that lines keep their numbers.
fn script_of(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.starts_with('#') { text.find('\n').map_or("", |end| &text[end..]) } else { text }
}

fn read_text(path: &Path) -> Result<String, String> {
    let bytes = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if bytes > SCRIPT_FILE_BYTES_MAX {
        return Err(format!("{bytes} bytes, at most {SCRIPT_FILE_BYTES_MAX}"));
    }
    std::fs::read_to_string(path).map_err(|e| e.to_string())
}

/// One script that matches are made of, shared by all of them. The files may be replaced while matches play: each
/// takes the new ones at its next tick.
#[derive(Debug)]
pub struct Script {
    file: String,
    allowance: Allowance,
    sources: RwLock<Arc<Sources>>,
    version: AtomicU64,
    /// What was wrong with the last save that had something wrong, and how many there were.
    notes: RwLock<Arc<[Fault]>>,
    noted: AtomicU64,
}

impl Script {
    /// The script `file` (a path inside the folder) over files already read. It is not tried here: `discover` does.
    pub fn new(file: &str, sources: Arc<Sources>, allowance: Allowance) -> Arc<Self> {
        Arc::new(Self {
            file: file.to_owned(),
            allowance,
            sources: RwLock::new(sources),
            version: AtomicU64::new(0),
            notes: RwLock::new(Arc::new([])),
            noted: AtomicU64::new(0),
        })
    }

    /// The script's path inside the games folder: what a mode writes after `lua:`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What its matches may cost.
    pub fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// The files as they are now.
    pub fn sources(&self) -> Arc<Sources> {
        self.sources.read().clone()
    }

    /// Grows by one whenever the files were replaced.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Grows by one whenever something was wrong with a save.
    pub fn noted(&self) -> u64 {
        self.noted.load(Ordering::Acquire)
    }

    /// What was wrong the last time: each match that plays tells its own author.
    pub fn notes(&self) -> Arc<[Fault]> {
        self.notes.read().clone()
    }

    /// Says what was wrong with a save to the matches that play.
    pub fn note(&self, faults: Vec<Fault>) {
        if !faults.is_empty() {
            *self.notes.write() = faults.into();
            self.noted.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Takes `sources` if the script still loads with them; `Ok(false)` when nothing it can see changed.
    ///
    /// # Errors
    /// Why it does not load: the old files stay, and every match plays on.
    pub fn replace(&self, sources: Arc<Sources>) -> Result<bool, Fault> {
        if self.sources().same_beside(&sources, &self.file) {
            return Ok(false);
        }
        discover::probe(&self.file, sources.clone(), self.allowance)?;
        *self.sources.write() = sources;
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(true)
    }
}
