//! Detects the type of a file system: on network file systems, locks and shared memory are unreliable.

use std::path::Path;

/// Returns the name of the network file system that contains `path`; `None` on a local disk or if unknown. For a path that does not exist
/// yet, its parent folder is checked.
pub fn network_file_system(path: &Path) -> Option<&'static str> {
    let existing = path.ancestors().find(|place| !place.as_os_str().is_empty() && place.exists());
    kind_of(existing.unwrap_or(Path::new(".")))
}

/// Magic numbers of statfs(2). FUSE counts as a network: sshfs and shared folders of virtual machines use it, and concurrent writes from
/// another computer cannot be detected here.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux tells file systems by these numbers"))]
const NETWORK: [(u32, &str); 14] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x6573_5546, "FUSE (sshfs, shared folders)"),
    (0x5346_414F, "AFS"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x0102_1997, "9P"),
    (0x7375_7245, "Coda"),
    (0x7461_636F, "OCFS2"),
    (0x0116_1970, "GFS2"),
    (0x1983_0326, "BeeGFS"),
];

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library does not tell file systems apart")]
fn kind_of(path: &Path) -> Option<&'static str> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: all-zero bytes are a valid `statfs`, which has only integer fields.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string and the buffer a `statfs`; both outlive the call.
    let failed = unsafe { libc::statfs(path.as_ptr(), &raw mut found) } != 0;
    if failed { None } else { name_of(found.f_type as u32) }
}

#[cfg(not(target_os = "linux"))]
fn kind_of(_: &Path) -> Option<&'static str> {
    None
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux tells file systems by these numbers"))]
fn name_of(magic: u32) -> Option<&'static str> {
    NETWORK.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_by_their_magic_numbers() {
        assert_eq!(name_of(0x6969), Some("NFS"));
        assert_eq!(name_of(0xFF53_4D42), Some("CIFS"));
        // ext4, XFS, btrfs, tmpfs, ZFS, overlayfs.
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x2FC1_2FC1, 0x794C_7630] {
            assert_eq!(name_of(local), None, "{local:x}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_judged_by_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let here = network_file_system(dir.path());
        assert_eq!(network_file_system(&dir.path().join("a/b/c")), here);
    }
}
