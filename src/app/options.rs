//! User options that persist between sessions: recent projects, the annotator's name, the theme. Nothing about a project's content.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use super::screen::Screen;
use crate::domain::CandidateId;

/// Maximum number of recent projects.
const RECENT_MAX: usize = 8;

/// Minimum and maximum scale, relative to the system's.
pub const SCALE: std::ops::RangeInclusive<f32> = 0.6..=3.0;

/// Light or dark theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Theme {
    /// Follows the desktop; dark if it has no preference.
    #[default]
    System,
    Dark,
    Light,
}

impl Theme {
    pub const ALL: [(Self, &str); 3] = [(Self::System, "System"), (Self::Dark, "Dark"), (Self::Light, "Light")];
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Only those with UTF-8 paths: others cannot be stored, and would prevent storing everything else here.
    #[serde(serialize_with = "utf8_paths")]
    pub recent: Vec<PathBuf>,
    /// The current annotator.
    pub annotator: String,
    /// What was open when the window was closed.
    pub last: Option<LastPlace>,
    pub theme: Theme,
    /// Scale of the interface, in [`SCALE`].
    pub scale: f32,
    /// Whether the review moves to the next candidate after a verdict.
    pub auto_advance: bool,
    /// Default device of new rounds: `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// CPU threads of training and detection; 0: one per core.
    pub threads: usize,
}

/// A project with its last screen, layout and candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPlace {
    /// UTF-8: other paths cannot be stored.
    pub project: String,
    pub screen: Screen,
    /// The review's grid was open.
    pub is_grid: bool,
    /// The review's candidate.
    #[serde(default)]
    pub candidate: Option<CandidateId>,
    /// Number of listed rows before it.
    #[serde(default)]
    pub position: usize,
}

impl Default for Options {
    fn default() -> Self {
        let user = ["USER", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let annotator = user.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "annotator".to_owned());
        Self {
            recent: Vec::new(),
            annotator,
            theme: Theme::default(),
            scale: 1.0,
            auto_advance: true,
            device: "auto".to_owned(),
            threads: 0,
            last: None,
        }
    }
}

impl Options {
    /// Moves a project to the top of the list.
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

/// Returns the folder of this user's hand-written settings: `keys.toml`.
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
