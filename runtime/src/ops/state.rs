//! What an operator remembers between runs of one session.

use igpt_kernels::KvInt8;

use super::kv_room::KvRoom;

/// The past of one operator: tokens seen, their keys and values, pooled sums. Which fields are used depends
/// on the operator.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayerState {
    /// Tokens already computed.
    pub(crate) past: usize,
    /// No run follows that needs this one: an int8 block borrows keys and values from the engine, an f32
    /// block lets go of them.
    pub(crate) once: bool,
    /// Keys and values of an int8 block, one entry a kv tile.
    pub(crate) kv: Vec<KvInt8>,
    /// Where its next entries go.
    pub(crate) room: KvRoom,
    /// Keys and values of an f32 block, `[token][k, v]`.
    pub(crate) kv_f32: Vec<f32>,
    /// Sums of the classification head, one row a tile of tokens.
    pub(crate) pooled: Vec<Vec<f32>>,
    /// Sequences in lockstep: if there are any, row `i` of a run is the next token of lane `i`, and the
    /// fields above are not used.
    pub(crate) lanes: Vec<LayerState>,
}

impl LayerState {
    /// Forgets every token from `tokens` on. A pooled sum is kept only if its whole tile is.
    pub(crate) fn truncate(&mut self, tokens: usize) {
        self.past = self.past.min(tokens);
        self.pooled.truncate(self.past / igpt_kernels::KV_TILE);
    }
}
