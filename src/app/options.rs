//! What the app remembers of a user between sessions: recent projects, the annotator's name, the theme. Nothing about a project's content.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use super::screen::Screen;

/// How many projects are remembered.
const RECENT_MAX: usize = 8;

/// Smallest and largest text, as a share of the system's.
pub const SCALE: std::ops::RangeInclusive<f32> = 0.6..=3.0;

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Theme {
    /// As the desktop says; dark where it says nothing.
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
    /// Those whose path is UTF-8: the others cannot be stored, and would keep everything else here from being.
    #[serde(serialize_with = "utf8_paths")]
    pub recent: Vec<PathBuf>,
    /// Whose verdicts these are.
    pub annotator: String,
    /// What was open when the window closed.
    pub last: Option<LastPlace>,
    pub theme: Theme,
    /// Size of everything, in [`SCALE`].
    pub scale: f32,
    /// Whether the review moves to the next candidate after a verdict.
    pub auto_advance: bool,
    /// What rounds are trained on unless their form says otherwise: `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// Threads of training and detection on the CPU; 0: one for each core.
    pub threads: usize,
}

/// A project with the screen and the layout that it was left in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPlace {
    /// UTF-8: another path cannot be stored.
    pub project: String,
    pub screen: Screen,
    /// The review's grid was open.
    pub is_grid: bool,
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
