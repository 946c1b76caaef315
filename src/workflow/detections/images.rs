//! Matches images in a result file to the project's: by name, by path, by the id in a ground truth file, or by a number that is the image's
//! name.

#![expect(clippy::indexing_slicing, reason = "indices come from the names of these images")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::dataset::results::ImageKey;
use crate::domain::{DatasetId, ImageNames, ImageRecord, NameMatch, without_image_extension};
use crate::workflow::copies::Copies;

/// The project's images by everything that may refer to them.
pub(super) struct ImageFinder<'a> {
    images: &'a [ImageRecord],
    names: ImageNames<'a>,
    paths: ImageNames<'a>,
    /// By the last component of name and path, without extension.
    by_stem: HashMap<&'a str, Vec<usize>>,
    /// By the number in the last component of the name: COCO's `000000000139.jpg` is image 139.
    by_number: HashMap<i64, Vec<usize>>,
    roots: HashMap<DatasetId, PathBuf>,
    copies: &'a Copies,
    /// Image id -> file name, from a ground truth file.
    given: &'a BTreeMap<i64, String>,
}

impl<'a> ImageFinder<'a> {
    pub fn new(
        images: &'a [ImageRecord],
        roots: HashMap<DatasetId, PathBuf>,
        copies: &'a Copies,
        given: &'a BTreeMap<i64, String>,
    ) -> Self {
        let (mut by_stem, mut by_number) = (HashMap::<&str, Vec<usize>>::new(), HashMap::<i64, Vec<usize>>::new());
        for (at, image) in images.iter().enumerate() {
            let (name, path) = (stem(&image.name), stem(&image.path));
            for stem in [Some(name), Some(path).filter(|path| *path != name)].into_iter().flatten() {
                by_stem.entry(stem).or_default().push(at);
            }
            if let Ok(number) = path.parse() {
                by_number.entry(number).or_default().push(at);
            }
        }
        let names = ImageNames::new(images.iter().map(|image| image.name.as_str()));
        let paths = ImageNames::new(images.iter().map(|image| image.path.as_str()));
        Self { images, names, paths, by_stem, by_number, roots, copies, given }
    }

    /// Returns the image's index, or an error with advice.
    pub fn find(&self, key: &ImageKey) -> Result<usize, String> {
        if let Some(name) = key.name.as_deref() {
            match self.by_name(name)? {
                Some(found) => return Ok(found),
                // A name is more reliable than a number with it, which may just count the list. If the name is the number, or a ground
                // truth file defines it, that decides.
                None if key.id.is_none_or(|id| name.parse() != Ok(id) && !self.given.contains_key(&id)) => {
                    return Err(format!("the project has no image '{name}'. Import its dataset, or correct the name"));
                }
                None => {}
            }
        }
        let Some(id) = key.id else { return Err("the record names no image".to_owned()) };
        if let Some(name) = self.given.get(&id) {
            return self.by_name(name)?.ok_or_else(|| {
                format!("image id {id} is '{name}' in the ground truth file, and the project has no such image")
            });
        }
        match self.by_number.get(&id).map(Vec::as_slice) {
            Some([one]) => Ok(*one),
            Some(several) => self.one_of(several, &id.to_string()),
            None if self.given.is_empty() => Err(format!(
                "image id {id} is not an image's name. Give the COCO ground truth that the ids come from with --ground-truth, or add `file_name`"
            )),
            None => {
                Err(format!("image id {id} is not in the ground truth file, and no image has that number as its name"))
            }
        }
    }

    fn by_name(&self, name: &str) -> Result<Option<usize>, String> {
        let name = name.strip_prefix("./").unwrap_or(name);
        for names in [&self.names, &self.paths] {
            match names.find(name) {
                NameMatch::One(found) => return Ok(Some(found)),
                NameMatch::Several(several) => return self.one_of(&several, name).map(Some),
                NameMatch::None => {}
            }
        }
        let fitting = self.by_stem.get(stem(name)).into_iter().flatten().copied();
        let fitting: Vec<usize> = fitting.filter(|at| self.is_end_of(*at, name)).collect();
        match fitting[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => self.one_of(&fitting, name).map(Some),
        }
    }

    /// Whether `name` and the image's path or name are the same file relative to two folders: one ends with the other.
    fn is_end_of(&self, at: usize, name: &str) -> bool {
        let image = &self.images[at];
        if Path::new(name).is_absolute() {
            let file = self.roots.get(&image.dataset).map(|root| root.join(&image.path));
            return file.is_some_and(|file| file == Path::new(name));
        }
        let name = Path::new(without_image_extension(name));
        [&image.path, &image.name].into_iter().any(|own| {
            let own = Path::new(without_image_extension(own));
            own.ends_with(name) || name.ends_with(own)
        })
    }

    /// Among copies with the same content, returns the one that is used.
    fn one_of(&self, several: &[usize], name: &str) -> Result<usize, String> {
        let hash = |at: usize| &self.images[at].content_hash;
        if several.iter().all(|at| hash(*at) == hash(several[0])) {
            let counting = several.iter().find(|at| self.copies.counts(&self.images[**at]));
            return Ok(*counting.unwrap_or(&several[0]));
        }
        let shown: Vec<String> = several.iter().take(3).map(|at| format!("'{}'", self.images[*at].path)).collect();
        Err(format!(
            "'{name}' fits {} images of the project, {}. Give the path in full",
            several.len(),
            shown.join(", ")
        ))
    }
}

/// Returns the last component of a path, without an image extension.
fn stem(name: &str) -> &str {
    without_image_extension(name.rsplit('/').next().unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ImageId;

    fn image(id: i64, name: &str, path: &str) -> ImageRecord {
        let (name, path, content_hash) = (name.to_owned(), path.to_owned(), format!("hash {id}"));
        let (id, dataset) = (ImageId(id), DatasetId(1));
        ImageRecord { id, dataset, name, path, content_hash, width: 8, height: 6, split: None }
    }

    #[test]
    fn images_are_found_by_name_path_and_number() {
        let images = [
            image(1, "2002/08/11/big/img_591", "originalPics/2002/08/11/big/img_591.jpg"),
            image(2, "val/000000000139.jpg", "val/000000000139.jpg"),
            image(3, "a/x.png", "a/x.png"),
            image(4, "b/x.png", "b/x.png"),
        ];
        let given = BTreeMap::from([(7, "a/x.png".to_owned()), (8, "gone.png".to_owned())]);
        let roots = HashMap::from([(DatasetId(1), PathBuf::from("/data"))]);
        let copies = Copies::default();
        let finder = ImageFinder::new(&images, roots, &copies, &given);
        let check = |name: Option<&str>, id: Option<i64>, expected: Result<usize, &str>| {
            let found = finder.find(&ImageKey { name: name.map(str::to_owned), id });
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name:?} {id:?}"),
                (Err(problem), Err(words)) => assert!(problem.contains(words), "{name:?} {id:?}: {problem}"),
                (found, _) => panic!("{name:?} {id:?}: {found:?}"),
            }
        };
        check(Some("2002/08/11/big/img_591"), None, Ok(0));
        check(Some("img_591.jpg"), None, Ok(0));
        check(Some("big/img_591"), None, Ok(0));
        check(Some("elsewhere/img_591.jpg"), None, Err("no image"));
        check(Some("/data/val/000000000139.jpg"), None, Ok(1));
        check(Some("/other/val/000000000139.jpg"), None, Err("no image"));
        check(Some("images/a/x.png"), None, Ok(2));
        check(Some("x"), None, Err("fits 2 images"));
        check(None, Some(139), Ok(1));
        check(Some("139"), Some(139), Ok(1));
        check(None, Some(7), Ok(2));
        check(Some("renamed"), Some(7), Ok(2));
        check(Some("renamed"), Some(139), Err("no image 'renamed'"));
        check(None, Some(8), Err("'gone.png'"));
        check(None, Some(9), Err("not in the ground truth"));
    }
}
