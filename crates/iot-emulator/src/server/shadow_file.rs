//! Shadows in a file: read at the start, written after every change.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use crate::shadow::Shadows;

/// What no file of shadows is larger than: 10,000 documents with their metadata are less.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// The file. One write is under way at a time; what changes meanwhile is in the next.
#[derive(Debug)]
pub(super) struct ShadowFile {
    path: PathBuf,
    /// Of the shadows that were written last.
    written: u64,
    writing: Option<JoinHandle<()>>,
    /// Something has changed since the write that is under way began.
    behind: bool,
}

impl ShadowFile {
    /// Reads the shadows of an earlier run, if there are any, and looks whether the file can be written.
    pub(super) fn open(path: &Path, shadows: &mut Shadows) -> io::Result<Self> {
        let named = |error: io::Error| {
            let sentence = format!("cannot keep shadows in {}: {error}", path.display());
            io::Error::new(error.kind(), sentence)
        };
        match read(path) {
            Ok(text) => {
                let export = serde_json::from_str(&text).map_err(io::Error::from).map_err(named)?;
                let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
                shadows.import(&export).map_err(invalid).map_err(named)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write(path, &shadows.export().to_string()).map_err(named)?;
            }
            Err(error) => return Err(named(error)),
        }
        Ok(Self { path: path.to_owned(), written: shadows.revision(), writing: None, behind: false })
    }

    /// Begins to write the shadows if they have changed and nothing is being written.
    pub(super) fn keep(&mut self, shadows: &Shadows) {
        let busy = self.writing.as_ref().is_some_and(|writing| !writing.is_finished());
        self.behind = self.written != shadows.revision();
        if !busy && self.behind {
            self.behind = false;
            self.written = shadows.revision();
            let (path, text) = (self.path.clone(), shadows.export().to_string());
            // What could not be written is tried again with the next change, and at the end.
            self.writing = Some(tokio::task::spawn_blocking(move || drop(write(&path, &text))));
        }
    }

    /// Returns when it is time to [keep](Self::keep) what has changed during a write.
    pub(super) async fn is_due(&mut self) {
        match &mut self.writing {
            Some(writing) if self.behind => {
                let _ = writing.await;
                self.writing = None;
            }
            _ => std::future::pending().await,
        }
    }

    /// Writes all that there is.
    pub(super) async fn finish(self, shadows: &Shadows) {
        if let Some(writing) = self.writing {
            let _ = writing.await;
        }
        let _ = write(&self.path, &shadows.export().to_string());
    }
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is larger than a gibibyte"));
    }
    fs::read_to_string(path)
}

/// Puts a whole new file in the place of the old one, so that there is never half of one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
