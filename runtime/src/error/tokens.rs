//! Why tokens cannot be fed to a model.

/// What is wrong with a sequence of tokens, or with several that are to go on together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// None, or more than the model has positions for.
    #[error("{found} of them, expected 1 to {n_positions} (n_positions)")]
    Count {
        /// Tokens.
        found: usize,
        /// The model's positions.
        n_positions: usize,
    },
    /// More than are left after those that were fed before.
    #[error("{found} after {past}, expected {n_positions} in all (n_positions)")]
    Positions {
        /// Tokens.
        found: usize,
        /// Those before.
        past: usize,
        /// The model's positions.
        n_positions: usize,
    },
    /// One that the model does not know.
    #[error("token {position} is {found}, the vocabulary has {vocab_size}")]
    Vocabulary {
        /// Its place among those that were given.
        position: usize,
        /// The token.
        found: i64,
        /// The model's vocabulary, the start token included.
        vocab_size: usize,
    },
    /// Sequences of one batch that differ in length.
    #[error("a batch of {expected} and {found} tokens, expected one length")]
    BatchLengths {
        /// Of the first sequence.
        expected: usize,
        /// Of another.
        found: usize,
    },
    /// Another number of tokens than there are sequences in lockstep.
    #[error("{found} of them for {sequences} sequences in lockstep, expected one each")]
    Lockstep {
        /// Tokens.
        found: usize,
        /// Sequences.
        sequences: usize,
    },
    /// Another number of choices than there are sequences in lockstep.
    #[error("{found} choices for {sequences} sequences in lockstep, expected one each")]
    Choices {
        /// Choices.
        found: usize,
        /// Sequences.
        sequences: usize,
    },
    /// Nothing to join.
    #[error("no sequences to join")]
    NoSequences,
    /// Sequences on different models cannot be joined.
    #[error("sequences of different models")]
    DifferentModels,
}
