//! What the app remembers of a user between sittings: recent projects and the annotator's name. Nothing of a project.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

/// How many projects are remembered.
const RECENT_MAX: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Those whose path is UTF-8: the others cannot be stored, and would keep everything else here from being.
    #[serde(serialize_with = "utf8_paths")]
    pub recent: Vec<PathBuf>,
    /// Whose verdicts these are.
    pub annotator: String,
}

impl Default for Options {
    fn default() -> Self {
        let user = ["USER", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let annotator = user.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "annotator".to_owned());
        Self { recent: Vec::new(), annotator }
    }
}

impl Options {
    /// Puts a project on top of the list.
    pub fn remember(&mut self, project: &Path) {
        self.forget(project);
        self.recent.insert(0, project.to_owned());
        self.recent.truncate(RECENT_MAX);
    }

    pub fn forget(&mut self, project: &Path) {
        self.recent.retain(|known| known != project);
    }
}

fn utf8_paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().filter_map(|path| path.to_str()))
}

/// The folder for what this user sets up by hand: `keys.toml`.
pub fn config_dir() -> Option<PathBuf> {
    let from = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = from("XDG_CONFIG_HOME")
        .or_else(|| from("APPDATA"))
        .or_else(|| from("HOME").map(|home| home.join(".config")))?;
    Some(base.join("quarry"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_project_comes_first_and_only_once() {
        let mut options = Options::default();
        for name in ["a", "b", "a"].iter().chain(&["c"; 1]) {
            options.remember(Path::new(name));
        }
        assert_eq!(options.recent, ["c", "a", "b"].map(PathBuf::from));
        for number in 0..20 {
            options.remember(Path::new(&number.to_string()));
        }
        assert_eq!(options.recent.len(), RECENT_MAX);
    }
}
