//! Small files that may hold secrets.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

/// The file's contents, cut off just past the limit. Opening a pipe would wait for its writer: only files are
/// read.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // Room for all of it from the start, and for the read that finds its end: a buffer that grows leaves what it held
    // behind.
    let room = usize::try_from(metadata.len()).unwrap_or(limit).min(limit).saturating_add(32);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    File::open(path)?.take((limit as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
