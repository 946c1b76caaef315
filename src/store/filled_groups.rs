//! Which groups are visible: those of a running grouping are hidden until all are complete.

/// Groups with a lower id are complete and visible; all are while no grouping runs.
pub(super) const FILLED_FROM: &str =
    "coalesce((SELECT value FROM meta WHERE key = 'filling_groups_from'), 9223372036854775807)";
