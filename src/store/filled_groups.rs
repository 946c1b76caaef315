//! Which groups are shown: those of a grouping that is at work are hidden until all are whole.

/// Groups with a lower id than this are whole and shown; none where nothing is being filled.
pub(super) const FILLED_FROM: &str =
    "coalesce((SELECT value FROM meta WHERE key = 'filling_groups_from'), 9223372036854775807)";
