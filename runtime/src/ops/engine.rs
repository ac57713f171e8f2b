//! What every operator of a loaded model shares: the kernels chosen at start, the threads, the scratch memory.

use std::sync::{Mutex, PoisonError};

use igpt_kernels::{Aligned, AttentionScratch, Kernels, PackedRows};
use rayon::ThreadPool;

use crate::error::Error;
use crate::profile::Profile;

/// Buffers of one task: a block of rows on its way through a transformer block.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Quantised rows.
    pub(crate) rows: PackedRows,
    /// The widest intermediate: qkv or the MLP's inner layer.
    pub(crate) wide: Aligned<f32>,
    /// Concatenated heads, or normed rows.
    pub(crate) narrow: Aligned<f32>,
    pub(crate) attention: AttentionScratch,
}

/// Kernels, threads and scratch of a loaded model.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) kernels: Kernels,
    pub(crate) pool: ThreadPool,
    pub(crate) profile: Profile,
    free: Mutex<Vec<Scratch>>,
}

impl Engine {
    /// `threads` = 0 takes one a core.
    pub(crate) fn new(kernels: Kernels, threads: usize) -> Result<Self, Error> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("igpt-{i}"))
            .build()
            .map_err(|source| Error::Threads { threads, source })?;
        Ok(Self {
            kernels,
            pool,
            profile: Profile::default(),
            free: Mutex::default(),
        })
    }

    /// Runs `task` with a scratch of its own, which the next task reuses: steady state allocates nothing.
    pub(crate) fn with_scratch<T>(&self, task: impl FnOnce(&mut Scratch) -> T) -> T {
        let lock = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = lock().pop().unwrap_or_default();
        let result = task(&mut scratch);
        lock().push(scratch);
        result
    }
}
