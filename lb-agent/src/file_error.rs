//! A file operation that failed.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::privileges;

/// Names the operation and the file, and what to do where privileges are missing.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {source}{}", path.display(), privileges::remedy(source))]
pub struct FileError {
    /// What was tried.
    pub operation: &'static str,
    /// With what.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// Makes one of what the system says.
    pub fn of(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self { operation, path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_and_file_are_named_and_the_remedy_where_there_is_one() {
        let told = |errno| {
            let error = io::Error::from_raw_os_error(errno);
            FileError::of("write", Path::new("/var/lib/a"))(error).to_string()
        };
        assert_eq!(told(libc::ENOSPC), "write /var/lib/a: No space left on device (os error 28)");
        let refused = told(libc::EACCES);
        assert!(refused.starts_with("write /var/lib/a: Permission denied (os error 13). "), "{refused}");
    }
}
