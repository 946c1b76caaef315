//! Parses wheel lists in pip's format: `name==version --hash=sha256:…`, with comments.

/// A wheel identified by its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wheel {
    /// The project's name in the index.
    pub name: String,
    pub version: String,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

/// Returns the wheels of a list; invalid lines are skipped, and the part's check finds what is missing then.
pub(super) fn parse(list: &str) -> Vec<Wheel> {
    let wheel = |line: &str| {
        let (name, rest) = line.split_once("==")?;
        let (version, sha256) = rest.split_once(" --hash=sha256:")?;
        Some(Wheel {
            name: name.trim().to_owned(),
            version: version.trim().to_owned(),
            sha256: sha256.trim().to_ascii_lowercase(),
        })
    };
    list.lines().filter(|line| !line.starts_with('#')).filter_map(wheel).collect()
}
