//! The numbers of a review, defined here once for every screen and command.
//!
//! - **Candidate**: a mined false positive on an image that its dataset still holds. One that is on an object of its class by now (kind
//!   duplicate) is not a candidate any more, unless it has a verdict.
//! - **Decided**: it has a verdict; "skipped" is one.
//! - **Left**, or undecided: it has none.
//! - **Group**: two or more candidates that can be decided on as one.
//! - **Decisions left**: groups with a candidate that is left, and candidates that are left and in no group.

use super::{Basis, FalsePositiveKind, Verdict};

/// Whether a candidate is left to decide on.
pub fn is_left(kind: FalsePositiveKind, verdict: Option<Verdict>) -> bool {
    verdict.is_none() && kind != FalsePositiveKind::Duplicate
}

/// How the candidates of a round, of a project or of an annotator stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// Left.
    pub undecided: u64,
    /// Decisions that are left where each group is decided on as one.
    pub decisions: u64,
    pub confirmed: u64,
    pub rejected: u64,
    pub missed_object: u64,
    pub wrong_class: u64,
    pub skipped: u64,
    /// Of those decided: given to all that a random sample stands for, not seen one by one.
    pub estimated: u64,
    /// Of those decided: taken over from an earlier round.
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

    /// Whether groups make fewer decisions of what is left.
    pub fn has_fewer_decisions(&self) -> bool {
        self.decisions < self.undecided
    }

    /// Counts one candidate; `given` is its verdict. Decisions are not counted by it.
    pub fn add(&mut self, given: Option<(Verdict, Basis)>) {
        let (verdict, basis) = given.unzip();
        *self.of(verdict) += 1;
        self.estimated += u64::from(basis == Some(Basis::Estimated));
        self.inherited += u64::from(basis == Some(Basis::Inherited));
    }

    /// The number of those with this verdict.
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
