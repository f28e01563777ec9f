//! `anypod keys` on real files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use anypod_proto::seal::Ring;

use crate::supervisor::anypod;

/// A directory that is removed at the end of a test.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn keys(args: &[&str]) -> Output {
    anypod().arg("keys").args(args).output().unwrap()
}

fn printed(args: &[&str]) -> String {
    let output = keys(args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn mode(file: &str) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_file_holds_one_key_for_the_owner_only() {
    let directory = Directory::new("new");
    let file = directory.file("ring");
    printed(&["new", "--out", &file]);
    assert_eq!(mode(&file), 0o600);
    let ring = Ring::parse(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(ring.fingerprints().count(), 1);
    assert_eq!(directory.names(), ["ring"]);
}

#[test]
fn a_new_ring_is_printed_where_no_file_is_named_and_differs_each_time() {
    let (one, other) = (printed(&["new"]), printed(&["new"]));
    assert!(Ring::parse(&one).is_ok());
    assert_ne!(one, other);
}

#[test]
fn a_new_file_does_not_take_the_place_of_another() {
    let directory = Directory::new("taken");
    let file = directory.file("ring");
    fs::write(&file, "precious").unwrap();
    assert_eq!(keys(&["new", "--out", &file]).status.code(), Some(2));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert_eq!(directory.names(), ["ring"]);
}

#[test]
fn rotation_puts_a_new_key_in_front_and_keeps_as_many_as_asked_for() {
    let directory = Directory::new("rotate");
    let file = directory.file("ring");
    printed(&["new", "--out", &file]);
    let first = Ring::parse(&fs::read_to_string(&file).unwrap()).unwrap();
    for _ in 0..3 {
        printed(&["rotate", &file]);
    }
    let text = fs::read_to_string(&file).unwrap();
    let ring = Ring::parse(&text).unwrap();
    assert_eq!(ring.fingerprints().count(), 3);
    assert!(!ring.fingerprints().any(|key| Some(key) == first.fingerprints().next()));
    assert_eq!(mode(&file), 0o600);
    let last = ring.fingerprints().next();
    printed(&["rotate", &file, "--keep", "1"]);
    let ring = Ring::parse(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(ring.fingerprints().nth(1), last);
    assert_eq!(ring.fingerprints().count(), 2);
}

#[test]
fn a_staged_key_opens_before_it_seals() {
    let directory = Directory::new("stage");
    let file = directory.file("ring");
    printed(&["new", "--out", &file]);
    assert_eq!(keys(&["rotate", &file, "--staged"]).status.code(), Some(2), "there is none yet");
    let names = || -> Vec<_> { Ring::parse(&fs::read_to_string(&file).unwrap()).unwrap().fingerprints().collect() };
    let first = names()[0];
    printed(&["stage", &file]);
    let staged = names();
    assert_eq!((staged.len(), staged[0]), (2, first));
    assert_eq!(keys(&["stage", &file]).status.code(), Some(2), "one is staged");
    assert_eq!(names(), staged);
    printed(&["rotate", &file, "--staged"]);
    assert_eq!(names(), [staged[1], first]);
}

#[test]
fn a_key_that_sealed_before_does_not_seal_again() {
    let directory = Directory::new("again");
    let file = directory.file("ring");
    printed(&["new", "--out", &file]);
    printed(&["stage", &file]);
    assert!(printed(&["show", &file]).contains("staged"));
    printed(&["rotate", &file, "--staged"]);
    let shown = printed(&["show", &file]);
    assert!(!shown.contains("staged"), "{shown}");
    assert_eq!(keys(&["rotate", &file, "--staged"]).status.code(), Some(2));
    assert_eq!(printed(&["show", &file]), shown);
}

#[test]
fn show_names_the_keys_and_does_not_print_them() {
    let directory = Directory::new("show");
    let file = directory.file("ring");
    printed(&["new", "--out", &file]);
    printed(&["rotate", &file]);
    let text = fs::read_to_string(&file).unwrap();
    let shown = printed(&["show", &file]);
    for fingerprint in Ring::parse(&text).unwrap().fingerprints() {
        assert!(shown.contains(&fingerprint.to_string()), "{shown}");
    }
    for key in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        assert!(!shown.contains(key));
    }
}

#[test]
fn a_file_that_others_can_read_is_used_with_a_warning() {
    let directory = Directory::new("mode");
    let file = directory.file("ring");
    printed(&["new", "--out", &file]);
    assert_eq!(keys(&["show", &file]).stderr, b"");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let output = keys(&["show", &file]);
    assert!(output.status.success());
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(warning.contains("chmod 600"), "{warning}");
}
