//! Matches images in a result file to the project's: by name, by path, by the id in a ground truth file, or by a number that is the image's
//! name.

#![expect(clippy::indexing_slicing, reason = "indices come from the names of these images")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::dataset::results::{GivenImage, ImageKey};
use crate::domain::{DatasetId, ImageNames, ImageRecord, NameMatch, without_image_extension};
use crate::store::Dataset;
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
    datasets: HashMap<DatasetId, &'a Dataset>,
    copies: &'a Copies,
    /// From a ground truth file, by image id.
    given: &'a BTreeMap<i64, GivenImage>,
}

impl<'a> ImageFinder<'a> {
    pub fn new(
        images: &'a [ImageRecord],
        datasets: &'a [Dataset],
        copies: &'a Copies,
        given: &'a BTreeMap<i64, GivenImage>,
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
        let datasets = datasets.iter().map(|dataset| (dataset.id, dataset)).collect();
        Self { images, names, paths, by_stem, by_number, datasets, copies, given }
    }

    /// Returns the image's index, or an error with advice.
    pub fn find(&self, key: &ImageKey) -> Result<usize, String> {
        let is_given = key.is_id && key.id.is_some_and(|id| self.given.contains_key(&id));
        if let Some(name) = key.name.as_deref().filter(|_| !is_given) {
            let fitting = self.fitting(name, |_| true);
            match self.best_of(&fitting, name) {
                Ok(Some(found)) => return Ok(found),
                // As in evaluations: among images of one name, the id decides.
                Err(ambiguous) => return self.given_among(&fitting, key.id).ok_or(ambiguous),
                // A name is more reliable than a number with it, which may just count the list. If the name is the number, or a ground
                // truth file defines it, that decides.
                Ok(None) if key.id.is_none_or(|id| name.parse() != Ok(id) && !self.given.contains_key(&id)) => {
                    return Err(format!("the project has no image '{name}'. Import its dataset, or correct the name"));
                }
                Ok(None) => {}
            }
        }
        let Some(id) = key.id else { return Err("the record names no image".to_owned()) };
        if let Some(given) = self.given.get(&id) {
            return self.by_given(given)?.ok_or_else(|| {
                let name = &given.name;
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

    /// Returns the image that a ground truth file describes: of its dataset, if the project has it there.
    fn by_given(&self, given: &GivenImage) -> Result<Option<usize>, String> {
        let everywhere = self.fitting(&given.name, |_| true);
        let of_dataset = given.dataset.as_ref().map_or_else(Vec::new, |name| {
            self.fitting(&given.name, |at| self.dataset_of(at).is_some_and(|dataset| dataset.name == *name))
        });
        let narrowed = if of_dataset.is_empty() { &everywhere } else { &of_dataset };
        let found = self.best_of(narrowed, &given.name)?;
        Ok(found.map(|at| self.counting(&everywhere, at)))
    }

    /// Returns the image that the ground truth has for this id, if it is one of these.
    fn given_among(&self, several: &[usize], id: Option<i64>) -> Option<usize> {
        let found = self.by_given(self.given.get(&id?)?).ok()??;
        several.contains(&found).then_some(found)
    }

    /// Returns the images to keep that may have this name: as it stands, else by the ends of paths.
    fn fitting(&self, name: &str, keep: impl Fn(usize) -> bool) -> Vec<usize> {
        let name = plain(name);
        for names in [&self.names, &self.paths] {
            let mut found = match names.find(name) {
                NameMatch::One(found) => vec![found],
                NameMatch::Several(several) => several,
                NameMatch::None => Vec::new(),
            };
            found.retain(|at| keep(*at));
            if !found.is_empty() {
                return found;
            }
        }
        let fitting = self.by_stem.get(stem(name)).into_iter().flatten().copied();
        fitting.filter(|at| keep(*at) && self.is_end_of(*at, name)).collect()
    }

    /// Returns the image whose file agrees with most of the name, from its end.
    fn best_of(&self, fitting: &[usize], name: &str) -> Result<Option<usize>, String> {
        if let [] | [_] = fitting {
            return Ok(fitting.first().copied());
        }
        let wanted = Path::new(plain(name));
        let agreeing: Vec<_> = fitting.iter().map(|at| agreement(&self.file_of(*at), wanted)).collect();
        let most = agreeing.iter().max();
        let best = fitting.iter().zip(&agreeing).filter(|(_, agrees)| Some(*agrees) == most);
        let best: Vec<usize> = best.map(|(at, _)| *at).collect();
        let found = if let [one] = best[..] { one } else { self.one_of(&best, name)? };
        Ok(Some(self.counting(fitting, found)))
    }

    /// Returns the copy of an image that is used, among those that fit a name.
    fn counting(&self, fitting: &[usize], found: usize) -> usize {
        let is_copy = |at: &usize| self.images[*at].content_hash == self.images[found].content_hash;
        let mut copies = std::iter::once(found).chain(fitting.iter().copied().filter(is_copy));
        copies.find(|at| self.copies.counts(&self.images[*at])).unwrap_or(found)
    }

    fn dataset_of(&self, at: usize) -> Option<&'a Dataset> {
        self.datasets.get(&self.images[at].dataset).copied()
    }

    fn file_of(&self, at: usize) -> PathBuf {
        let path = &self.images[at].path;
        self.dataset_of(at).map_or_else(|| PathBuf::from(path), |dataset| dataset.root.join(path))
    }

    /// Whether `name` and the image's path or name are the same file relative to two folders: one ends with the other.
    fn is_end_of(&self, at: usize, name: &str) -> bool {
        let image = &self.images[at];
        if Path::new(name).is_absolute() {
            return self.file_of(at) == Path::new(name);
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
            return Ok(self.counting(several, several[0]));
        }
        let shown: Vec<String> =
            several.iter().take(3).map(|at| format!("'{}'", self.file_of(*at).display())).collect();
        Err(format!(
            "'{name}' fits {} images of the project, {}. Give the path in full",
            several.len(),
            shown.join(", ")
        ))
    }
}

fn plain(name: &str) -> &str {
    name.strip_prefix("./").unwrap_or(name)
}

/// Returns the number of last components that both paths share, without image extensions, and whether these agree too.
fn agreement(file: &Path, name: &Path) -> (usize, bool) {
    let stems = |path: &Path| PathBuf::from(without_image_extension(&path.to_string_lossy()));
    let (own, given) = (stems(file), stems(name));
    let shared = own.components().rev().zip(given.components().rev()).take_while(|(a, b)| a == b).count();
    (shared, file.file_name() == name.file_name())
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
        image_of(1, id, name, path)
    }

    fn image_of(dataset: i64, id: i64, name: &str, path: &str) -> ImageRecord {
        let (name, path, content_hash) = (name.to_owned(), path.to_owned(), format!("hash {id}"));
        let (id, dataset) = (ImageId(id), DatasetId(dataset));
        ImageRecord { id, dataset, name, path, content_hash, width: 8, height: 6, split: None }
    }

    fn dataset(id: i64, name: &str, root: &str) -> Dataset {
        let (id, kind) = (DatasetId(id), "coco".to_owned());
        Dataset { id, name: name.to_owned(), kind, root: PathBuf::from(root), imported_ms: 0 }
    }

    fn given(name: &str, dataset: Option<&str>) -> GivenImage {
        GivenImage { name: name.to_owned(), dataset: dataset.map(str::to_owned), size: None }
    }

    /// Programs write ids as text too; where the ground truth file has them, they are not names.
    #[test]
    fn text_of_an_id_is_the_id_that_the_ground_truth_has() {
        let images = [image(1, "7", "7.jpg"), image(2, "b", "b.jpg"), image(3, "9", "9.jpg")];
        let given = BTreeMap::from([(7, given("b.jpg", None)), (8, given("7.jpg", None))]);
        let (datasets, copies) = ([dataset(1, "data", "/data")], Copies::default());
        let finder = ImageFinder::new(&images, &datasets, &copies, &given);
        let found =
            |text: &str, is_id| finder.find(&ImageKey { name: Some(text.to_owned()), id: text.parse().ok(), is_id });
        assert_eq!((found("7", true), found("8", true), found("9", true)), (Ok(1), Ok(0), Ok(2)));
        assert_eq!((found("7", false), found("7.jpg", true)), (Ok(0), Ok(0)), "a file's name");
    }

    fn check(finder: &ImageFinder, name: Option<&str>, id: Option<i64>, expected: Result<usize, &str>) {
        let found = finder.find(&ImageKey { name: name.map(str::to_owned), id, is_id: false });
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name:?} {id:?}"),
            (Err(problem), Err(words)) => assert!(problem.contains(words), "{name:?} {id:?}: {problem}"),
            (found, _) => panic!("{name:?} {id:?}: {found:?}"),
        }
    }

    #[test]
    fn images_are_found_by_name_path_and_number() {
        let images = [
            image(1, "2002/08/11/big/img_591", "originalPics/2002/08/11/big/img_591.jpg"),
            image(2, "val/000000000139.jpg", "val/000000000139.jpg"),
            image(3, "a/x.png", "a/x.png"),
            image(4, "b/x.png", "b/x.png"),
        ];
        let given = BTreeMap::from([(7, given("a/x.png", None)), (8, given("gone.png", None))]);
        let datasets = [dataset(1, "data", "/data")];
        let copies = Copies::default();
        let finder = ImageFinder::new(&images, &datasets, &copies, &given);
        let check = |name, id, expected| check(&finder, name, id, expected);
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

    #[test]
    fn images_of_one_name_are_told_apart_by_id_and_by_folder() {
        let mut images = [
            image_of(1, 1, "1.jpg", "1.jpg"),
            image_of(2, 2, "1.jpg", "1.jpg"),
            image_of(2, 3, "2.jpg", "2.jpg"),
            image_of(3, 4, "far", "B/1.jpg"),
        ];
        let datasets = [dataset(1, "A", "/data/A"), dataset(2, "B", "/data/B"), dataset(3, "C", "/more")];
        let given = BTreeMap::from([
            (1, given("1.jpg", Some("A"))),
            (2, given("1.jpg", Some("B"))),
            (3, given("1.jpg", Some("unknown"))),
            (4, given("1.jpg", Some("C"))),
            (5, given("A/1.jpg", None)),
        ]);
        let copies = Copies::default();
        let finder = ImageFinder::new(&images, &datasets, &copies, &given);
        for name in [None, Some("1.jpg"), Some("1")] {
            check(&finder, name, Some(1), Ok(0));
            check(&finder, name, Some(2), Ok(1));
            check(&finder, name, Some(3), Err("fits 2 images of the project, '/data/A/1.jpg', '/data/B/1.jpg'"));
        }
        check(&finder, None, Some(4), Ok(3));
        check(&finder, None, Some(5), Ok(0));
        check(&finder, Some("1.jpg"), None, Err("Give the path in full"));
        check(&finder, Some("1.jpg"), Some(9), Err("Give the path in full"));
        check(&finder, Some("A/1.jpg"), None, Ok(0));
        check(&finder, Some("A/1"), Some(2), Ok(0));
        check(&finder, Some("data/B/1.jpg"), None, Ok(1));
        check(&finder, Some("/data/B/1.jpg"), None, Ok(1));
        check(&finder, Some("C/1.jpg"), None, Err("Give the path in full"));

        // Of copies, the one that is used, whichever the file names.
        images[1].content_hash = "hash 1".to_owned();
        let finder = ImageFinder::new(&images, &datasets, &copies, &given);
        check(&finder, Some("1.jpg"), None, Ok(0));
    }
}
