//! Parses lists of folds and splits.

/// Parses fold numbers from 1, separated by commas, semicolons or spaces, with ranges: `8`, `9, 10`, `1-3`. Returns them sorted without
/// duplicates.
pub fn parse_folds(text: &str) -> Result<Vec<u8>, String> {
    let bad = |part: &str| format!("`{part}` is not a fold: write numbers such as 8, or 9, 10, or 1-3");
    let number = |part: &str| part.trim().parse::<u8>().ok().filter(|n| *n > 0).ok_or_else(|| bad(part));
    let mut folds = Vec::new();
    for part in text.split([',', ' ', ';']).filter(|part| !part.trim().is_empty()) {
        match part.split_once('-') {
            Some((from, to)) => {
                let (first, last) = (number(from)?, number(to)?);
                if last < first {
                    return Err(bad(part));
                }
                folds.extend(first..=last);
            }
            None => folds.push(number(part)?),
        }
    }
    folds.sort_unstable();
    folds.dedup();
    Ok(folds)
}

/// Parses split names separated by commas or semicolons: `val`, `train, extra`. Numbers are parsed like folds ([`parse_folds`]). Returns
/// numbers first, then names, without duplicates.
pub fn parse_splits(text: &str) -> Result<Vec<String>, String> {
    let mut splits = Vec::new();
    for part in text.split([',', ';']).map(str::trim).filter(|part| !part.is_empty()) {
        let is_numbers = part.chars().all(|c| c.is_ascii_digit() || c == '-' || c == ' ');
        if is_numbers {
            splits.extend(parse_folds(part)?.iter().map(u8::to_string));
        } else {
            splits.push(part.to_owned());
        }
    }
    sort_splits(&mut splits);
    Ok(splits)
}

/// Sorts numbers by value, then names alphabetically, and removes duplicates.
pub fn sort_splits(splits: &mut Vec<String>) {
    let place = |split: &String| (super::fold_number(split).map_or(u16::MAX, u16::from), split.clone());
    splits.sort_by_cached_key(place);
    splits.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_read_as_people_write_them() {
        let check = |text: &str, expected: &[u8]| assert_eq!(parse_folds(text).unwrap(), expected, "{text}");
        check("8", &[8]);
        check(" 9,10 ", &[9, 10]);
        check("10 9; 9", &[9, 10]);
        check("1-3, 7", &[1, 2, 3, 7]);
        check("", &[]);
        for bad in ["eight", "0", "1-", "300", "3-1"] {
            assert!(parse_folds(bad).unwrap_err().contains("is not a fold"), "{bad}");
        }
    }

    #[test]
    fn splits_are_names_or_folds() {
        let check = |text: &str, expected: &[&str]| assert_eq!(parse_splits(text).unwrap(), expected, "{text}");
        check("val", &["val"]);
        check("8", &["8"]);
        check("10, 9, 1-3", &["1", "2", "3", "9", "10"]);
        check("val; 2, train", &["2", "train", "val"]);
        check("held out", &["held out"]);
        check("2017-val", &["2017-val"]);
        check("", &[]);
        assert!(parse_splits("3-1").is_err() && parse_splits("0").is_err());
    }
}
