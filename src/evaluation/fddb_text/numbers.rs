//! Parses the numbers of a region line the way C++ streams do.

use crate::domain::printable;
use crate::evaluation::region::Region;

/// What to do with a score that is not a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnreadableScores {
    /// Report an error.
    #[default]
    Refuse,
    /// Follow the official program silently: `nan`, `inf`, `abc` count as 0, `1e400` as the largest double.
    AsOfficial,
}

/// The largest pixel coordinate in the official program; beyond it, integers wrap around.
const LARGEST_COORDINATE: f64 = 2_147_483_647.0;

/// Parses a finite number; the error says what is wrong with the word.
pub(super) fn number(word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!("`{}` is not a finite number", printable(word))),
        Err(_) => Err(format!("`{}` is not a number", printable(word))),
    }
}

pub(super) fn score(word: &str, unreadable: UnreadableScores) -> Result<f64, String> {
    number(word).or_else(|problem| match unreadable {
        UnreadableScores::Refuse => {
            Err(format!("score {problem} (the official program would silently count another score)"))
        }
        UnreadableScores::AsOfficial => {
            let digits = word.bytes().take_while(|b| b.is_ascii_digit() || b"+-.eE".contains(b)).count();
            Ok(word.get(..digits).unwrap_or("").parse::<f64>().map_or(0.0, |v| v.clamp(-f64::MAX, f64::MAX)))
        }
    })
}

fn coordinate(value: f64) -> Result<(), String> {
    if value.abs() <= LARGEST_COORDINATE {
        return Ok(());
    }
    Err(format!("{value} pixels are beyond the official program's 32-bit coordinates, where it would wrap around"))
}

pub(super) fn rectangle([x, y, w, h]: [f64; 4]) -> Result<Region, String> {
    [x, y, x + w, y + h].into_iter().try_for_each(coordinate)?;
    Ok(Region::Rectangle { x, y, w, h })
}

pub(super) fn ellipse([ra, rb, theta, cx, cy]: [f64; 5]) -> Result<Region, String> {
    [ra, rb, cx, cy].into_iter().try_for_each(coordinate)?;
    if ra.trunc() < 0.0 || rb.trunc() < 0.0 {
        return Err(format!("an ellipse cannot have the negative half axes {ra} {rb} (the official program aborts)"));
    }
    Ok(Region::Ellipse { ra, rb, theta, cx, cy })
}
