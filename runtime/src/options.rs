//! `LoadOptions`: on how many threads and with which instructions a model runs.

use igpt_kernels::Isa;

/// How to load a model.
///
/// The defaults suit a program that has the machine to itself: one thread a core, and the fastest instruction
/// set there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Threads; 0 for one a core. Results have the same bits for any number.
    pub threads: usize,
    /// An instruction set; the fastest there is when absent. Results have the same bits on every one.
    pub cpu: Option<Isa>,
}

impl LoadOptions {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            threads: 0,
            cpu: None,
        }
    }

    /// With this number of threads; 0 for one a core.
    #[must_use]
    pub const fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// With this instruction set; `None` for the fastest there is.
    #[must_use]
    pub const fn with_cpu(self, cpu: Option<Isa>) -> Self {
        Self { cpu, ..self }
    }
}
