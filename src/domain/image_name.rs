//! Resolves image names in lists, annotations and detections, with or without a file extension.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::HashMap;

/// File extensions of the decodable formats in lower case, most common first; files are searched in this order.
pub const IMAGE_EXTENSIONS: [&str; 14] =
    ["jpg", "jpeg", "png", "bmp", "ppm", "jpe", "jfif", "gif", "webp", "tif", "tiff", "pgm", "pbm", "pnm"];

/// Removes an image file extension in any letter case. Any other suffix after a dot belongs to the name: `scan.1` is the name of
/// `scan.1.jpg`.
pub fn without_image_extension(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty()
                && !stem.ends_with('/')
                && IMAGE_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)) =>
        {
            stem
        }
        _ => name,
    }
}

/// Removes each name's extension, unless the shorter name would also match another image.
pub fn distinct_names<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let mut meant: HashMap<&str, usize> = HashMap::new();
    for name in names.clone() {
        let stem = without_image_extension(name);
        *meant.entry(stem).or_default() += 1;
        if stem != name {
            *meant.entry(name).or_default() += 1;
        }
    }
    let shortest =
        |name| if meant.get(without_image_extension(name)) == Some(&1) { without_image_extension(name) } else { name };
    names.map(|name| shortest(name).to_owned()).collect()
}

/// Finds images by name: first exactly, then without image extensions on either side.
#[derive(Debug, Default)]
pub struct ImageNames<'a> {
    names: Vec<&'a str>,
    by_name: HashMap<&'a str, Vec<usize>>,
    by_stem: HashMap<&'a str, Vec<usize>>,
}

/// The images that match a name, by list index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameMatch {
    None,
    One(usize),
    /// The name is ambiguous between these images.
    Several(Vec<usize>),
}

impl<'a> ImageNames<'a> {
    pub fn new(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut made = Self::default();
        for (index, name) in names.into_iter().enumerate() {
            made.names.push(name);
            made.by_name.entry(name).or_default().push(index);
            made.by_stem.entry(without_image_extension(name)).or_default().push(index);
        }
        made
    }

    #[expect(clippy::indexing_slicing, reason = "`find` returned the index")]
    pub fn name(&self, index: usize) -> &'a str {
        self.names[index]
    }

    pub fn find(&self, name: &str) -> NameMatch {
        if let Some(exact) = self.by_name.get(name) {
            return Self::one_or_ambiguous(exact.clone());
        }
        let stem = without_image_extension(name);
        let places = [self.by_stem.get(name), self.by_name.get(stem), self.by_stem.get(stem)];
        let mut found: Vec<usize> = places.into_iter().flatten().flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        Self::one_or_ambiguous(found)
    }

    fn one_or_ambiguous(found: Vec<usize>) -> NameMatch {
        match found.as_slice() {
            [] => NameMatch::None,
            &[one] => NameMatch::One(one),
            _ => NameMatch::Several(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_extensions_of_images_are_left_out() {
        let check = |name: &str, expected: &str| assert_eq!(without_image_extension(name), expected);
        check("a/scan.jpg", "a/scan");
        check("scan.1.JPEG", "scan.1");
        check("scan.1", "scan.1");
        check("v1.2/scan", "v1.2/scan");
        check("a/.jpg", "a/.jpg");
        check(".png", ".png");
        check("scan.jpg.jpg", "scan.jpg");
        check("scan.", "scan.");
    }

    #[test]
    fn names_are_found_as_they_stand_and_then_without_extensions() {
        let check = |names: &[&str], name: &str, expected: NameMatch| {
            assert_eq!(ImageNames::new(names.iter().copied()).find(name), expected, "{name} in {names:?}");
        };
        let dotted = ["scan.1.jpg", "scan.jpg"];
        check(&dotted, "scan.1", NameMatch::One(0));
        check(&dotted, "scan", NameMatch::One(1));
        check(&dotted, "scan.png", NameMatch::One(1));
        check(&dotted, "scan.2", NameMatch::None);
        let twins = ["a.jpg", "a.png"];
        check(&twins, "a.png", NameMatch::One(1));
        check(&twins, "a", NameMatch::Several(vec![0, 1]));
        check(&twins, "a.bmp", NameMatch::Several(vec![0, 1]));
        check(&["a", "a.jpg"], "a", NameMatch::One(0));
        check(&["a"], "a.jpg", NameMatch::One(0));
        check(&["a", "a.jpg.png"], "a.jpg", NameMatch::Several(vec![0, 1]));
        check(&["x/1.jpg", "x/1.jpg"], "x/1.jpg", NameMatch::Several(vec![0, 1]));
    }
}
