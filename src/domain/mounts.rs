//! The names of one folder through several mounts: after `mount --bind photos elsewhere`, no path tells that both are the same.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use super::input::{limits, read_bytes};

/// Returns `path`, which is canonical as far as it exists, and all of its other names through mounts.
#[cfg(target_os = "linux")]
pub(super) fn all_names(path: &Path) -> Vec<PathBuf> {
    // Without the table of mounts, the path is all that is known.
    let table = read_bytes(Path::new("/proc/self/mountinfo"), limits::TEXT).unwrap_or_default();
    names_in(&mounts(&table), path)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn all_names(path: &Path) -> Vec<PathBuf> {
    vec![path.to_path_buf()]
}

/// A line of `/proc/self/mountinfo` (proc(5)).
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has this table"))]
struct Mount {
    /// `major:minor`: equal for all mounts of a file system.
    device: Vec<u8>,
    /// The folder of the file system that is mounted.
    root: PathBuf,
    place: PathBuf,
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has this table"))]
fn mounts(table: &[u8]) -> Vec<Mount> {
    let mount = |line: &[u8]| {
        let mut words = line.split(|&byte| byte == b' ').skip(2);
        let device = words.next()?.to_vec();
        let (root, place) = (unescaped(words.next()?)?, unescaped(words.next()?)?);
        Some(Mount { device, root, place })
    };
    table.split(|&byte| byte == b'\n').filter_map(mount).collect()
}

/// Blanks, tabs, line breaks and backslashes are written as three octal digits.
#[cfg(unix)]
fn unescaped(word: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| first == b'\\');
        let value = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(value.unwrap_or(first));
        rest = after.get(if value.is_some() { 3 } else { 0 }..)?;
    }
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn unescaped(word: &[u8]) -> Option<PathBuf> {
    String::from_utf8(word.to_vec()).ok().map(PathBuf::from)
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has this table"))]
fn names_in(mounts: &[Mount], path: &Path) -> Vec<PathBuf> {
    let mut names = vec![path.to_path_buf()];
    let Some(own) = mount_of(mounts, path) else { return names };
    let Ok(below) = path.strip_prefix(&own.place) else { return names };
    let inside = own.root.join(below);
    for mount in mounts.iter().filter(|mount| mount.device == own.device) {
        if let Ok(rest) = inside.strip_prefix(&mount.root) {
            let name = mount.place.join(rest);
            let is_shown = mount_of(mounts, &name).is_some_and(|shown| std::ptr::eq(shown, mount));
            if is_shown && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Returns the mount that shows `path`: of several at one place the last one.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has this table"))]
fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let holding = mounts.iter().filter(|mount| path.starts_with(&mount.place));
    holding.max_by_key(|mount| mount.place.components().count())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
        22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
        30 22 0:5 / /tmp rw - tmpfs tmpfs rw\n\
        31 22 254:0 /data/photos /mnt/my\\040photos rw - ext4 /dev/vda rw\n\
        32 22 254:0 /data/photos/2024 /srv/new rw - ext4 /dev/vda rw\n\
        33 30 254:0 /data/hidden /tmp/over rw - ext4 /dev/vda rw\n\
        34 30 0:6 / /tmp/over rw - tmpfs tmpfs rw\n\
        a broken line\n";

    #[test]
    fn a_path_has_a_name_through_every_mount_that_shows_it() {
        let check = |path: &str, expected: &[&str]| {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(names_in(&mounts(TABLE), Path::new(path)), expected, "{path}");
        };
        check("/data/photos/2024/a.jpg", &["/data/photos/2024/a.jpg", "/mnt/my photos/2024/a.jpg", "/srv/new/a.jpg"]);
        check("/srv/new/b/c", &["/srv/new/b/c", "/data/photos/2024/b/c", "/mnt/my photos/2024/b/c"]);
        check("/mnt/my photos/x", &["/mnt/my photos/x", "/data/photos/x"]);
        check("/data/other", &["/data/other"]);
        check("/tmp/over/a", &["/tmp/over/a"]);
        check("/data/hidden/a", &["/data/hidden/a"]);
        assert_eq!(names_in(&[], Path::new("/a")), [PathBuf::from("/a")]);
    }
}
