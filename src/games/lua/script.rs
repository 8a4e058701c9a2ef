//! A script and its folder, in memory: matches never read files, and a match that begins while an author saves sees
//! one consistent set of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::budget::Allowance;
use super::report::Fault;
use super::{discover, guard};

/// Bytes of one script file. Over: the file is reported and not read.
pub const FILE_BYTES_MAX: u64 = 512 * 1024;

/// Files of one games folder. Over: reported, nothing is read.
pub const FILES_MAX: usize = 256;

/// Directories within directories that are looked into.
const FOLDER_DEPTH_MAX: usize = 8;

/// Every `.lua` file of a games folder, by its path inside it (`arena/match.lua`).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sources {
    files: BTreeMap<String, Arc<str>>,
}

impl Sources {
    /// Reads the folder. Links are not followed, wherever they lead: what is not in the folder is not part of it.
    pub fn read(folder: &Path) -> Result<Self, Vec<Fault>> {
        let mut sources = Self::default();
        let mut faults = Vec::new();
        sources.read_dir(folder, "", 0, &mut faults);
        if sources.files.len() > FILES_MAX {
            faults.push(Fault::of_file(".", format!("{} files, at most {FILES_MAX}", sources.files.len())));
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
            if name.starts_with('.') || self.files.len() > FILES_MAX {
                continue;
            }
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            if kind.is_dir() && depth < FOLDER_DEPTH_MAX {
                self.read_dir(&entry.path(), &path, depth + 1, faults);
            } else if kind.is_file() && name.ends_with(".lua") {
                match read_text(&entry.path()) {
                    Ok(text) => self.add(path, &text, faults),
                    Err(why) => faults.push(Fault::of_file(path, why)),
                }
            }
        }
    }

    /// Files given as text, by their path inside the folder.
    pub fn from_texts<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<Fault>> {
        let mut sources = Self::default();
        let mut faults = Vec::new();
        for (path, text) in files {
            sources.add(path.to_owned(), text, &mut faults);
        }
        if faults.is_empty() { Ok(sources) } else { Err(faults) }
    }

    fn add(&mut self, path: String, text: &str, faults: &mut Vec<Fault>) {
        match guard::harden(text) {
            Ok(text) => drop(self.files.insert(path, text.into())),
            Err((line, why)) => faults.push(Fault { file: path, line: Some(line), text: why.to_owned() }),
        }
    }

    /// The text of the file at this path inside the folder, as Lua is given it.
    pub fn text(&self, path: &str) -> Option<Arc<str>> {
        self.files.get(path).cloned()
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let bytes = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("{bytes} bytes, at most {FILE_BYTES_MAX}"));
    }
    std::fs::read_to_string(path).map_err(|e| e.to_string())
}

/// One script that matches are made of, shared by all of them. The files may be replaced while matches play: each
/// takes the new ones at its next tick.
#[derive(Debug)]
pub struct Script {
    folder: PathBuf,
    file: String,
    allowance: Allowance,
    sources: RwLock<Arc<Sources>>,
    version: AtomicU64,
}

impl Script {
    /// The script `file` (a path inside the folder) over files already read. It is not tried here: `discover` does.
    pub fn new(folder: &Path, file: &str, sources: Arc<Sources>, allowance: Allowance) -> Arc<Self> {
        Arc::new(Self {
            folder: folder.to_owned(),
            file: file.to_owned(),
            allowance,
            sources: RwLock::new(sources),
            version: AtomicU64::new(0),
        })
    }

    /// The script's path inside the games folder: what a mode writes after `lua:`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The games folder.
    pub fn folder(&self) -> &Path {
        &self.folder
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

    /// Takes `sources` if the script still loads with them; `Ok(false)` when nothing changed. On faults the old files
    /// stay and every match plays on.
    pub fn replace(&self, sources: Arc<Sources>) -> Result<bool, Vec<Fault>> {
        if *self.sources() == *sources {
            return Ok(false);
        }
        discover::probe(&self.file, sources.clone(), self.allowance).map_err(|fault| vec![fault])?;
        *self.sources.write() = sources;
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(true)
    }
}
