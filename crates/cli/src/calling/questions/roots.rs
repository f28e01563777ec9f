//! Directories as roots.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anypod_client::proto::roots::Root;

use crate::usage::Usage;

/// A directory as a root, by its whole path.
///
/// # Errors
/// If it is none.
pub(super) fn read(directory: &Path) -> Result<Root, Usage> {
    let wrong = |why: String| Usage::new(format!("--root {}: {why}", directory.display()));
    let whole = directory.canonicalize().map_err(|error| wrong(error.to_string()))?;
    if !whole.is_dir() {
        return Err(wrong("that is no directory".to_owned()));
    }
    let root = Root::new(file_uri(&whole));
    Ok(match whole.file_name() {
        Some(name) => root.with_name(name.to_string_lossy()),
        None => root,
    })
}

/// An absolute path as a URI. Spec: RFC 8089.
fn file_uri(path: &Path) -> String {
    let mut uri = "file://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(*byte)),
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_bytes_is_a_uri() {
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/srv/a b/\xff#?%"));
        assert_eq!(file_uri(path), "file:///srv/a%20b/%FF%23%3F%25");
        assert!(anypod_client::proto::uri::is_uri(&file_uri(path)));
    }

    #[test]
    fn only_a_directory_is_a_root() {
        assert!(read(Path::new("/no/such/directory")).is_err());
        assert!(read(&std::env::current_exe().unwrap()).is_err());
        assert_eq!(read(Path::new("/")).unwrap().uri, "file:///");
    }
}
