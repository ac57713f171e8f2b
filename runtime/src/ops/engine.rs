//! What every operator of a loaded model shares: the kernels chosen at start, the threads, the scratch
//! memory.

use std::sync::{Mutex, PoisonError};

use igpt_kernels::{Aligned, AttentionScratch, Kernels, KvInt8, LinearScratch, PackedRows};
use rayon::ThreadPool;

use super::maps::Maps;
use super::shares::Shares;
use super::team;
use super::tensors::Tensors;
use crate::error::Error;
use crate::huge_pages::Blocks;
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
    /// Shares of a linear layer's columns, one a thread.
    pub(crate) shares: Aligned<f32>,
    pub(crate) attention: AttentionScratch,
    pub(crate) linear: LinearScratch,
}

/// Kernels, threads and scratch of a loaded model.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) kernels: Kernels,
    pub(crate) pool: ThreadPool,
    pub(crate) profile: Profile,
    /// Quantised queries of a block's run, `[tile][head]` or `[lane][head]`.
    pub(crate) queries: Shelf<Vec<Vec<PackedRows>>>,
    /// Memory for int4 weights.
    pub(crate) weights: Blocks,
    /// Memory for the keys and values of sequences that keep them.
    pub(crate) slabs: Blocks,
    /// Keys and values of a block, for runs that keep none.
    pub(crate) kv: Shelf<Vec<KvInt8>>,
    /// What a block over a map keeps between its phases.
    pub(crate) maps: Shelf<Maps>,
    /// Maps between operators.
    pub(crate) tensors: Tensors,
    scratch: Shelf<Scratch>,
}

/// Buffers not in use: what one run puts back the next one takes, so that steady state allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Shelf<T>(Mutex<Vec<T>>);

impl<T: Default> Shelf<T> {
    /// One of them, or a new one.
    pub(crate) fn take(&self) -> T {
        let lock = self.0.lock();
        let taken = lock.unwrap_or_else(PoisonError::into_inner).pop();
        taken.unwrap_or_default()
    }

    pub(crate) fn put(&self, buffer: T) {
        let lock = self.0.lock();
        lock.unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

impl Engine {
    /// `threads` = 0 takes one a core.
    pub(crate) fn new(kernels: Kernels, threads: usize) -> Result<Self, Error> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("igpt-{i}"))
            .build()
            .map_err(|error| Error::Threads {
                threads,
                source: error.into(),
            })?;
        Ok(Self {
            kernels,
            pool,
            profile: Profile::default(),
            queries: Shelf::default(),
            weights: Blocks::default(),
            slabs: Blocks::default(),
            kv: Shelf::default(),
            maps: Shelf::default(),
            tensors: Tensors::default(),
            scratch: Shelf::default(),
        })
    }

    /// How many threads work on a pass.
    pub(crate) fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs a forward pass: this thread, and others of the pool, work on what it hands out by [`team::try_each`]. Nothing in it asks the
    /// pool for anything, whose threads have other things to do until it ends.
    pub(crate) fn pass<T>(&self, pass: impl FnOnce() -> T) -> T {
        team::lead(self.threads() - 1, |help| self.pool.spawn(help), pass)
    }

    /// `rows` rows shared out in whole panels of the kernels' tiles.
    pub(crate) fn share(&self, rows: usize) -> Shares {
        Shares::new(rows, self.threads(), self.kernels.layout().mr)
    }

    /// Runs `task` with a scratch of its own, which the next task reuses.
    pub(crate) fn with_scratch<T>(&self, task: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = self.scratch.take();
        let result = task(&mut scratch);
        self.scratch.put(scratch);
        result
    }
}
