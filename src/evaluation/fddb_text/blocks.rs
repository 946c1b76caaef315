//! Parses blocks of a name, a count and regions.

use std::path::Path;
use std::sync::Arc;

use super::numbers::{UnreadableScores, ellipse, number, rectangle, score};
use super::{AnnotatedImage, Block, DetectedImage, FddbTextError, ListedImage, Place, read_text};
use crate::evaluation::region::ScoredRegion;

/// The shape of detections: the official program's `-f` option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// Inferred from the number of columns, if that is unambiguous.
    #[default]
    Auto,
    /// `x y w h score`
    Rectangle,
    /// `ra rb theta cx cy score`
    Ellipse,
}

/// Reads one name per line. The official program splits names at white space: [`join`](super::join) splits a line that is not a name as a
/// whole.
pub fn read_list(path: &Path) -> Result<Vec<ListedImage>, FddbTextError> {
    let text = read_text(path)?;
    let path: Arc<Path> = path.into();
    let lines =
        text.lines().enumerate().map(|(k, line)| (k + 1, line.trim_ascii())).filter(|(_, line)| !line.is_empty());
    let listed =
        |(line, name): (usize, &str)| ListedImage { name: name.to_owned(), place: Place { path: path.clone(), line } };
    Ok(lines.map(listed).collect())
}

/// Reads an ellipse list: one `ra rb theta cx cy label` line per face.
pub fn read_annotations(path: &Path) -> Result<Vec<AnnotatedImage>, FddbTextError> {
    let text = read_text(path)?;
    read_blocks(&text, path, "face", |line| {
        let mut words = line.split_ascii_whitespace();
        ellipse(numbers(&mut words, "ra rb theta cx cy")?)
    })
}

/// Reads one detector's detection files (one per fold, or one for all), in the given order.
pub fn read_detections(
    paths: &[impl AsRef<Path>],
    shape: Shape,
    unreadable: UnreadableScores,
) -> Result<Vec<DetectedImage>, FddbTextError> {
    let texts: Vec<(&Path, String)> =
        paths.iter().map(|p| Ok((p.as_ref(), read_text(p.as_ref())?))).collect::<Result<_, FddbTextError>>()?;
    let shape = settle_shape(&texts, shape)?;
    let mut blocks = Vec::new();
    for (path, text) in &texts {
        blocks.extend(read_blocks(text, path, "detection", |line| scored_region(line, shape, unreadable))?);
    }
    Ok(blocks)
}

fn scored_region(line: &str, shape: Shape, unreadable: UnreadableScores) -> Result<ScoredRegion, String> {
    let mut words = line.split_ascii_whitespace();
    let region = match shape {
        Shape::Ellipse => ellipse(numbers(&mut words, "ra rb theta cx cy score")?)?,
        Shape::Rectangle | Shape::Auto => rectangle(numbers(&mut words, "x y w h score")?)?,
    };
    let word = words.next().ok_or("the score is missing (the official program would take any number for it)")?;
    Ok(ScoredRegion { region, score: score(word, unreadable)? })
}

/// Parses the next `N` numbers of a line with the given `columns`; further columns are ignored, as in the official program.
fn numbers<'a, const N: usize>(words: &mut impl Iterator<Item = &'a str>, columns: &str) -> Result<[f64; N], String> {
    let mut values = [0.0; N];
    for (k, value) in values.iter_mut().enumerate() {
        let word = words.next().ok_or_else(|| format!("only {k} numbers where `{columns}` is expected"))?;
        *value = number(word).map_err(|e| format!("{e}; expected `{columns}`"))?;
    }
    Ok(values)
}

fn read_blocks<T>(
    text: &str,
    path: &Path,
    what: &str,
    region: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<Block<T>>, FddbTextError> {
    let path: Arc<Path> = path.into();
    let at = |line: usize| Place { path: path.clone(), line };
    // A file may end in blank lines and in DOS's end-of-file character (Ctrl-Z), as pyface's does.
    let text = text.trim_end_matches(['\n', '\r', ' ', '\t', '\u{1a}']);
    let mut lines = text.split('\n').enumerate().map(|(k, line)| (k + 1, line));
    let mut blocks = Vec::new();
    if text.is_empty() {
        return Ok(blocks);
    }
    while let Some((name_line, name)) = lines.next() {
        let place = at(name_line);
        check_name(name).map_err(|e| place.error(e))?;
        let count = lines.next().map(|(_, line)| line.trim()).ok_or_else(|| {
            at(name_line + 1).error(format!("the file ends where the number of {what}s of `{name}` is expected"))
        })?;
        let count: usize = count.parse().map_err(|_| no_count(&place, name, count, what))?;
        let mut regions = Vec::with_capacity(count.min(text.len() / 4));
        for k in 0..count {
            let promised = || format!("line {} promises {count} {what}(s) for `{name}`", name_line + 1);
            let (line_number, line) = lines.next().ok_or_else(|| {
                at(name_line + 2 + k).error(format!("the file ends after {k} {what}(s), but {}", promised()))
            })?;
            let parsed = region(line).map_err(|e| at(line_number).error(format!("{e}; {}", promised())))?;
            regions.push(parsed);
        }
        blocks.push(Block { name: name.to_owned(), place, regions });
    }
    Ok(blocks)
}

fn check_name(name: &str) -> Result<(), String> {
    if name.ends_with('\r') {
        return Err(
            "Windows line ends (CR LF), which the official program refuses; convert the file, e.g. with dos2unix"
                .to_owned(),
        );
    }
    if name.trim().is_empty() {
        return Err("an empty line where an image name is expected".to_owned());
    }
    if name.trim() != name {
        return Err(format!("blanks around the image name `{name}`, which the official program refuses"));
    }
    Ok(())
}

/// The name is only examined if no count follows: an image may well be called `2024 05 17 093012`.
fn no_count(place: &Place, name: &str, found: &str, what: &str) -> FddbTextError {
    let numbers = name.split_ascii_whitespace().filter(|w| w.parse::<f64>().is_ok()).count();
    if numbers > 3 {
        return place.error(format!(
            "`{name}` where an image name is expected: the count before it is too small for its {what}s"
        ));
    }
    place.below(1).error(format!("`{found}` where the number of {what}s of `{name}` is expected"))
}

/// Resolves `Auto` by the columns of all data lines; an error if they are ambiguous.
fn settle_shape(texts: &[(&Path, String)], shape: Shape) -> Result<Shape, FddbTextError> {
    if shape != Shape::Auto {
        return Ok(shape);
    }
    let (mut fives, mut sixes) = (false, false);
    let mut unscored = UnscoredEllipses::default();
    for (path, text) in texts {
        for (line_number, line) in data_lines(text) {
            let mut words = line.split_ascii_whitespace();
            let third = words.by_ref().nth(2);
            let columns = third.map_or(0, |_| 3 + words.count());
            let angle = third.and_then(|w| w.parse::<f64>().ok()).is_some_and(|v| v.abs() <= std::f64::consts::TAU);
            (fives, sixes) = (fives || columns == 5, sixes || columns == 6);
            unscored.look_at(line, line_number, path);
            if (fives && sixes) || columns > 6 || (columns == 6 && !angle) {
                let place = Place { path: (*path).into(), line: line_number };
                return Err(place.error(format!(
                    "{columns} columns do not tell whether detections are `x y w h score` or `ra rb theta cx cy score` \
                     (with an angle third): say `--shape rectangle` or `--shape ellipse`"
                )));
            }
        }
    }
    match unscored.first() {
        Some(place) if fives => Err(place.error(
            "5 columns with an angle third look like ellipses without a score (`ra rb theta cx cy`): add the score, or say \
             `--shape rectangle` if these are boxes `x y w h score` that are all a few pixels wide",
        )),
        _ => Ok(if sixes { Shape::Ellipse } else { Shape::Rectangle }),
    }
}

/// Detects 5-column lines that are ellipses without a score: no box is wider than a full turn, one has a fractional or negative width, and
/// every last number is a coordinate rather than a score.
#[derive(Default)]
struct UnscoredEllipses {
    first: Option<Place>,
    /// Set by a line that cannot be an ellipse without a score.
    refuted: bool,
    has_fraction: bool,
}

impl UnscoredEllipses {
    fn look_at(&mut self, line: &str, line_number: usize, path: &Path) {
        if self.refuted {
            return;
        }
        let numbers: Vec<f64> = line.split_ascii_whitespace().map_while(|w| w.parse().ok()).collect();
        let &[_, _, third, _, fifth] = numbers.as_slice() else {
            self.refuted = true;
            return;
        };
        self.refuted |= third.abs() > std::f64::consts::TAU || fifth.abs() <= 1.0;
        self.has_fraction |= third.fract() != 0.0 || third < 0.0;
        self.first.get_or_insert_with(|| Place { path: path.into(), line: line_number });
    }

    fn first(self) -> Option<Place> {
        self.first.filter(|_| !self.refuted && self.has_fraction)
    }
}

/// Lines that contain regions, judging by names and counts; strict parsing follows later.
fn data_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut left = 0_usize;
    let mut count_is_next = false;
    text.lines().enumerate().filter_map(move |(k, line)| {
        if left > 0 {
            left -= 1;
            return Some((k + 1, line));
        }
        if count_is_next {
            left = line.trim().parse().unwrap_or(0);
        }
        count_is_next = !count_is_next;
        None
    })
}
