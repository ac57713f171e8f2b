//! Jobs of resizing pictures.

/// Rows of bytes in a ring: row `i` lies in place `i % places`.
#[derive(Clone, Copy, Debug)]
pub struct RowRing<'a> {
    /// `[places, width]`.
    pub values: &'a [u8],
    /// Bytes of a row.
    pub width: usize,
    /// How many rows there is room for.
    pub places: usize,
}
