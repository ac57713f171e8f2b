//! Linear layers and attention in f32: the reference that an int8 file is measured against.

use igpt_kernels::{AttentionF32, Heads, KvInt8, NonFinite};

use super::arithmetic::{Arithmetic, Attention, Source, Target, Work};
use crate::ops::engine::{Engine, Scratch};
use crate::ops::linear_f32::LinearF32;
use crate::ops::maps::Queries;
use crate::profile::Operator;

impl Arithmetic for LinearF32 {
    fn columns(&self) -> usize {
        self.w.n()
    }

    fn multiply(
        &self,
        work: &mut Work<'_>,
        source: Source<'_>,
        target: Target<'_>,
    ) -> Result<(), NonFinite> {
        let Work { engine, wide, .. } = work;
        let kernels = engine.kernels;
        let k = self.w.k();
        let mut laps = engine.profile.laps();
        let Target { out, add, operator } = target;
        let prepared = match source {
            Source::Plain(x) => {
                self.run(engine, x, out, add);
                laps.end(operator);
                return Ok(());
            }
            Source::Normed(x, norm) => {
                wide.resize(x.len());
                norm.apply(engine, x, wide);
                Operator::NormQuantize
            }
            Source::Windows(windows, rows) => {
                wide.resize(rows.len() * k);
                kernels.gather(windows, rows, wide);
                Operator::Gather
            }
            Source::Depthwise(job) => {
                wide.resize(job.tokens.len() * k);
                kernels.depthwise_f32(job, wide);
                Operator::Depthwise
            }
        };
        laps.end(prepared);
        self.run(engine, wide, out, add);
        laps.end(operator);
        Ok(())
    }

    fn keep_queries(
        _: &Engine,
        heads: Heads,
        q: &[f32],
        queries: &mut Queries,
    ) -> Result<(), NonFinite> {
        queries.rows = q.len() / (heads.count * heads.dim);
        queries.plain.resize(q.len());
        queries.plain.copy_from_slice(q);
        Ok(())
    }

    fn keep_keys(_: &Engine, _: Heads, _: &[f32], _: &mut KvInt8) -> Result<(), NonFinite> {
        // They are read where they are.
        Ok(())
    }

    fn attend(
        engine: &Engine,
        job: &Attention<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), NonFinite> {
        let Heads { count, dim } = job.heads;
        let width = count * dim;
        scratch.narrow.resize(job.queries.rows * width);
        let rows = scratch.narrow.chunks_exact_mut(width);
        for (row, (out, q)) in rows.zip(job.queries.plain.chunks_exact(width)).enumerate() {
            for (head, out) in out.chunks_exact_mut(dim).enumerate() {
                let job = AttentionF32 {
                    q: &q[head * dim..][..dim],
                    keys: &job.kv[head * dim..],
                    values: &job.kv[width + head * dim..],
                    stride: 2 * width,
                    tokens: job.keys,
                    scale: job.scale,
                    out,
                };
                let done = engine.kernels.attend_f32(job);
                done.map_err(|e| NonFinite { row, ..e })?;
            }
        }
        Ok(())
    }
}
