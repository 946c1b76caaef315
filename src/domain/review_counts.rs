//! The counts of a review, defined once for every screen and command.
//!
//! - **Candidate**: a mined false positive on an image that is still in its dataset. If it covers an object of its class by now (kind
//!   duplicate), it only counts if it has a verdict.
//! - **Decided**: has a verdict; "skipped" is one.
//! - **Left**, or undecided: has no verdict.
//! - **Group**: two or more candidates that can be decided together.
//! - **Decisions left**: groups with an undecided candidate, plus undecided candidates outside groups.

use super::{Basis, FalsePositiveKind, Verdict};

/// Whether a candidate is undecided.
pub fn is_left(kind: FalsePositiveKind, verdict: Option<Verdict>) -> bool {
    verdict.is_none() && kind != FalsePositiveKind::Duplicate
}

/// Verdict counts of a round, a project or an annotator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// Undecided.
    pub undecided: u64,
    /// Decisions left if each group is decided together.
    pub decisions: u64,
    pub confirmed: u64,
    pub rejected: u64,
    pub missed_object: u64,
    pub wrong_class: u64,
    pub skipped: u64,
    /// Among the decided: assigned from a random sample, not seen individually.
    pub estimated: u64,
    /// Among the decided: carried over from an earlier round.
    pub inherited: u64,
}

impl VerdictCounts {
    pub fn decided(&self) -> u64 {
        self.judged() + self.skipped
    }

    /// Decided and not skipped.
    pub fn judged(&self) -> u64 {
        self.confirmed + self.rejected + self.missed_object + self.wrong_class
    }

    pub fn candidates(&self) -> u64 {
        self.undecided + self.decided()
    }

    /// Whether deciding by group takes fewer decisions than one per candidate.
    pub fn has_fewer_decisions(&self) -> bool {
        self.decisions < self.undecided
    }

    /// Counts one candidate with its verdict `given`. Does not count decisions.
    pub fn add(&mut self, given: Option<(Verdict, Basis)>) {
        let (verdict, basis) = given.unzip();
        *self.of(verdict) += 1;
        self.estimated += u64::from(basis == Some(Basis::Estimated));
        self.inherited += u64::from(basis == Some(Basis::Inherited));
    }

    /// Returns the counter for this verdict.
    pub fn of(&mut self, verdict: Option<Verdict>) -> &mut u64 {
        match verdict {
            None => &mut self.undecided,
            Some(Verdict::Confirmed) => &mut self.confirmed,
            Some(Verdict::Rejected) => &mut self.rejected,
            Some(Verdict::MissedObject) => &mut self.missed_object,
            Some(Verdict::WrongClass) => &mut self.wrong_class,
            Some(Verdict::Skipped) => &mut self.skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_is_decided_or_left() {
        let mut counts = VerdictCounts::default();
        counts.add(None);
        for verdict in Verdict::ALL {
            counts.add(Some((verdict, Basis::Reviewed)));
        }
        counts.add(Some((Verdict::Confirmed, Basis::Estimated)));
        counts.add(Some((Verdict::Rejected, Basis::Inherited)));
        assert_eq!((counts.candidates(), counts.decided(), counts.judged(), counts.undecided), (8, 7, 6, 1));
        assert_eq!((counts.estimated, counts.inherited, counts.skipped), (1, 1, 1));
        for kind in FalsePositiveKind::ALL {
            assert_eq!(is_left(kind, None), kind != FalsePositiveKind::Duplicate, "{kind:?}");
            assert!(!is_left(kind, Some(Verdict::Skipped)));
        }
    }
}
