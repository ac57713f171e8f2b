//! Every operator that a file may have, family by family.

use super::kind::Kind;

/// The operators of each family.
static FAMILIES: [&[Kind]; 2] = [crate::imagegpt::OPERATORS, crate::segformer::OPERATORS];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Kind> {
    FAMILIES.iter().copied().flatten()
}
