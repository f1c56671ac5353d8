//! The bodies of the fuzz targets, a file each. Each panics when an invariant does not hold.

mod shared_credentials_file;

pub use shared_credentials_file::shared_credentials_file;
