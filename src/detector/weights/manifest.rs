//! `models/manifest.toml`: name, file, source, licence and SHA-256 of each known weight file. Every load checks the file against it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::WeightError;
use crate::domain::{limits, read_text, read_weights, write_whole};

/// The manifest's file name.
pub const FILE_NAME: &str = "manifest.toml";

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(default)]
    pub weights: Vec<ManifestEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestEntry {
    pub name: String,
    /// Next to the manifest.
    pub file: String,
    pub source: String,
    pub licence: String,
    /// Lower-case hexadecimal; at least the first eight digits (all that torchvision's file names contain).
    pub sha256: String,
}

/// The state of an entry's file on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    Present,
    Absent,
    /// The file has a different SHA-256.
    Changed,
}

impl Manifest {
    /// Reads the manifest of the folder `dir`; empty if there is none.
    pub fn of(dir: &Path) -> Result<Self, WeightError> {
        let path = dir.join(FILE_NAME);
        let text = match read_text(&path, limits::SETTINGS) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(WeightError::io(&path, error.into())),
        };
        Self::parse(&path, &text)
    }

    /// Refuses `bytes` (the content of `path`) if the manifest next to it lists a different SHA-256.
    pub fn check(path: &Path, bytes: &[u8]) -> Result<(), WeightError> {
        let dir = folder(path);
        Self::of(&dir)?.listed(path).map_or(Ok(()), |entry| entry.check(path, bytes, &dir))
    }

    /// Refuses the external file `path` if the manifest of `dir` lists a file of its name with a different SHA-256.
    pub fn check_listed(dir: &Path, path: &Path) -> Result<(), WeightError> {
        let manifest = Self::of(dir)?;
        let is_in_folder = || folder(path).canonicalize().ok() == dir.canonicalize().ok();
        let Some(entry) = manifest.listed(path).filter(|_| !is_in_folder()) else { return Ok(()) };
        let bytes = read_weights(path).map_err(|error| WeightError::io(path, error.into()))?;
        entry.check(path, &bytes, dir)
    }

    fn listed(&self, path: &Path) -> Option<&ManifestEntry> {
        let name = path.file_name()?.to_str()?;
        self.weights.iter().find(|entry| entry.file == name)
    }

    /// Checks whether the file of `entry` in `dir` is unchanged.
    pub fn state(dir: &Path, entry: &ManifestEntry) -> Result<FileState, WeightError> {
        let path = dir.join(&entry.file);
        match read_weights(&path) {
            Ok(bytes) if sha256_hex(&bytes).starts_with(&entry.sha256) => Ok(FileState::Present),
            Ok(_) => Ok(FileState::Changed),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(FileState::Absent),
            Err(error) => Err(WeightError::io(&path, error.into())),
        }
    }

    /// Writes `entry` to the manifest of `dir`, replacing the one for the same file. Other lines, including comments, are kept.
    pub fn record(dir: &Path, entry: &ManifestEntry) -> Result<(), WeightError> {
        let path = dir.join(FILE_NAME);
        if Self::of(dir)?.weights.contains(entry) {
            return Ok(());
        }
        let before = if path.exists() { read_text(&path, limits::SETTINGS) } else { Ok(String::new()) };
        let before = before.map_err(|error| WeightError::io(&path, error.into()))?;
        let after = format!("{}{}", without_file(&before, &entry.file), block(entry));
        Self::parse(&path, &after)?;
        write_whole(&path, after.as_bytes()).map_err(|source| WeightError::io(&path, source))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, WeightError> {
        let wrong = |why| WeightError::Manifest { path: path.to_path_buf(), why };
        let manifest: Self = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        for entry in &manifest.weights {
            let hex = entry.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if !hex || !(8..=64).contains(&entry.sha256.len()) {
                return Err(wrong(format!(
                    "the sha256 of `{}` must be 8 to 64 lower-case hexadecimal digits",
                    entry.name
                )));
            }
            if entry.file.contains(['/', '\\']) || entry.file.is_empty() {
                return Err(wrong(format!(
                    "`{}` names the file `{}`, which is not in the manifest's folder",
                    entry.name, entry.file
                )));
            }
        }
        Ok(manifest)
    }
}

impl ManifestEntry {
    /// `dir` is the manifest's folder.
    fn check(&self, path: &Path, bytes: &[u8], dir: &Path) -> Result<(), WeightError> {
        let found = sha256_hex(bytes);
        if found.starts_with(&self.sha256) {
            return Ok(());
        }
        let (path, manifest) = (path.to_path_buf(), dir.join(FILE_NAME));
        Err(WeightError::Checksum { path, manifest, found, wanted: self.sha256.clone() })
    }
}

/// Returns the SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
}

fn block(entry: &ManifestEntry) -> String {
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let ManifestEntry { name, file, source, licence, sha256 } = entry;
    let (name, file, source, licence, sha256) = (text(name), text(file), text(source), text(licence), text(sha256));
    format!("\n[[weights]]\nname = {name}\nfile = {file}\nsource = {source}\nlicence = {licence}\nsha256 = {sha256}\n")
}

/// Returns `text` without the `[[weights]]` block that names `file`.
fn without_file(text: &str, file: &str) -> String {
    let mut parts = text.split_inclusive('\n').fold(vec![String::new()], |mut parts: Vec<String>, line| {
        if line.trim() == "[[weights]]" {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(line);
        }
        parts
    });
    let names_file = |part: &String| {
        toml::from_str::<Manifest>(part).is_ok_and(|m| m.weights.iter().any(|entry| entry.file == file))
    };
    parts.retain(|part| !names_file(part));
    format!("{}\n", parts.concat().trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str, sha256: &str) -> ManifestEntry {
        let (source, licence) = ("a \"quoted\" place".to_owned(), "MIT".to_owned());
        ManifestEntry { name: file.to_owned(), file: file.to_owned(), source, licence, sha256: sha256.to_owned() }
    }

    #[test]
    fn sha256_of_a_known_text() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_listed_file_is_checked_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        Manifest::record(dir.path(), &entry("a.pth", "ba7816bf")).unwrap();
        Manifest::check(&dir.path().join("a.pth"), b"abc").unwrap();
        Manifest::check(&dir.path().join("b.pth"), b"anything").unwrap();
        let message = Manifest::check(&dir.path().join("a.pth"), b"abd").unwrap_err().to_string();
        assert!(message.contains("a.pth") && message.contains("ba7816bf"), "{message}");
    }

    #[test]
    fn a_file_elsewhere_is_checked_against_the_entry_of_its_name() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Manifest::record(dir.path(), &entry("a.pth", "ba7816bf")).unwrap();
        let check = |name: &str, bytes: &[u8], expected: bool| {
            let path = elsewhere.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let checked = Manifest::check_listed(dir.path(), &path);
            assert_eq!(checked.is_ok(), expected, "{name}: {checked:?}");
        };
        check("a.pth", b"abc", true);
        check("a.pth", b"abd", false);
        check("b.pth", b"abd", true);
    }

    #[test]
    fn a_new_entry_replaces_the_one_of_its_file_and_keeps_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        std::fs::write(&path, "# by hand\n").unwrap();
        for (file, sha) in [("a.pth", "00000000"), ("b.pth", "11111111"), ("a.pth", "22222222")] {
            Manifest::record(dir.path(), &entry(file, sha)).unwrap();
        }
        let manifest = Manifest::of(dir.path()).unwrap();
        assert_eq!(manifest.weights, [entry("b.pth", "11111111"), entry("a.pth", "22222222")]);
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("# by hand\n"));
    }

    #[test]
    fn bad_manifests_are_refused_with_the_file_and_the_reason() {
        let check = |text: &str, expected: &str| {
            let message = Manifest::parse(Path::new("m/manifest.toml"), text).unwrap_err().to_string();
            assert!(message.contains("manifest.toml") && message.contains(expected), "{message}");
        };
        check("[[weights]]\nname = 3\n", "name");
        check(&block(&entry("../x", "00000000")), "not in the manifest's folder");
        check(&block(&entry("x", "xyz")), "hexadecimal");
    }
}
