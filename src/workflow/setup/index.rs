//! Finds the URL of the file with a checksum in PyPI's simple interface, as JSON (PEP 691) or HTML (PEP 503), which mirrors offer too.

use serde::Deserialize;

/// Returns the package index: `$QUARRY_INDEX`, else `$PIP_INDEX_URL`, else PyPI.
pub fn index_url() -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    set("QUARRY_INDEX").or_else(|| set("PIP_INDEX_URL")).unwrap_or_else(|| "https://pypi.org/simple".to_owned())
}

#[derive(Debug, Deserialize)]
struct Listing {
    files: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    url: String,
    hashes: Hashes,
}

#[derive(Debug, Deserialize)]
struct Hashes {
    sha256: Option<String>,
}

/// Returns the URL of the file with this checksum in a listing read from `page`; `None` if it is not listed.
pub(super) fn find(page: &str, listing: &str, sha256: &str) -> Option<String> {
    if let Ok(listing) = serde_json::from_str::<Listing>(listing) {
        let found = listing.files.into_iter().find(|file| file.hashes.sha256.as_deref() == Some(sha256))?;
        return absolute(page, &found.url);
    }
    let mut links = listing.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let with_hash = format!("#sha256={sha256}");
    let found = links.find_map(|link| link.strip_suffix(with_hash.as_str()))?;
    absolute(page, &found.replace("&amp;", "&"))
}

/// Resolves `link` relative to `page`.
fn absolute(page: &str, link: &str) -> Option<String> {
    if link.starts_with("https://") || link.starts_with("http://") {
        return Some(link.to_owned());
    }
    let (scheme, rest) = page.split_once("://")?;
    let host = rest.split('/').next()?;
    if link.starts_with('/') {
        return Some(format!("{scheme}://{host}{link}"));
    }
    let mut folders: Vec<&str> = rest.trim_end_matches('/').split('/').skip(1).collect();
    let mut link = link;
    while let Some(above) = link.strip_prefix("../") {
        folders.pop();
        link = above;
    }
    folders.push(link);
    Some(format!("{scheme}://{host}/{}", folders.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_listings_are_read() {
        let page = "https://mirror.example/simple/torch/";
        let check = |listing: &str, expected: Option<&str>| {
            assert_eq!(find(page, listing, "abc").as_deref(), expected, "{listing}");
        };
        check(r#"{"files": [{"url": "https://f/x.whl", "hashes": {"sha256": "abc"}}]}"#, Some("https://f/x.whl"));
        check(r#"{"files": [{"url": "/x.whl", "hashes": {"sha256": "abc"}}]}"#, Some("https://mirror.example/x.whl"));
        check(r#"{"files": [{"url": "https://f/x.whl", "hashes": {"sha256": "abd"}}]}"#, None);
        check(r#"{"files": [{"url": "https://f/x.whl", "hashes": {}}]}"#, None);
        check("<a href=\"../../f/x.whl#sha256=abc\">x</a>", Some("https://mirror.example/f/x.whl"));
        check(
            "<a href=\"y.whl#sha256=abd\">y</a> <a href=\"x.whl#sha256=abc\">x</a>",
            Some("https://mirror.example/simple/torch/x.whl"),
        );
        check("<html>no access</html>", None);
    }
}
