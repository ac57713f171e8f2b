//! Linear layers and attention in int8.

use igpt_kernels::{
    Attention as Job, Heads, KvInt8, NonFinite, PackedRows, Prepare, RowsF32, Visible,
};

use super::arithmetic::{Arithmetic, Attention, Source, Target, Work};
use crate::ops::engine::{Engine, Scratch};
use crate::ops::linear_int8::{LinearInt8, Memory, Product};
use crate::ops::maps::Queries;
use crate::profile::Operator;

impl Arithmetic for LinearInt8 {
    fn columns(&self) -> usize {
        self.w.n()
    }

    fn multiply(
        &self,
        work: &mut Work<'_>,
        source: Source<'_>,
        target: Target<'_>,
    ) -> Result<(), NonFinite> {
        let Work {
            engine,
            rows,
            shares,
            linear,
            ..
        } = work;
        let kernels = engine.kernels;
        let k = self.w.k();
        let dense = |x| RowsF32::dense(x, x.len() / k, k);
        let mut laps = engine.profile.laps();
        let prepared = match source {
            Source::Plain(x) => {
                kernels.prepare(dense(x), Prepare::Plain, rows)?;
                Operator::Quantize
            }
            Source::Normed(x, norm) => {
                kernels.prepare(dense(x), norm.prepare(), rows)?;
                Operator::NormQuantize
            }
            Source::Windows(windows, of) => {
                kernels.prepare_windows(windows, of, rows)?;
                Operator::Gather
            }
            Source::Depthwise(job) => {
                kernels.depthwise(job, rows)?;
                Operator::Depthwise
            }
        };
        laps.end(prepared);
        let Target { out, add, operator } = target;
        self.run(
            engine,
            Product { rows, out, add },
            Memory { shares, linear },
        );
        laps.end(operator);
        Ok(())
    }

    fn keep_queries(
        engine: &Engine,
        heads: Heads,
        q: &[f32],
        queries: &mut Queries,
    ) -> Result<(), NonFinite> {
        let Queries { packed, rows, .. } = queries;
        *rows = q.len() / (heads.count * heads.dim);
        packed.resize_with(packed.len().max(heads.count), PackedRows::default);
        engine.kernels.split_q(heads, q, packed)
    }

    fn keep_keys(
        engine: &Engine,
        heads: Heads,
        kv: &[f32],
        tile: &mut KvInt8,
    ) -> Result<(), NonFinite> {
        engine.kernels.split_kv(heads, kv, 0, tile)
    }

    fn attend(
        engine: &Engine,
        job: &Attention<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), NonFinite> {
        let heads = job.heads;
        let width = heads.count * heads.dim;
        scratch.narrow.resize(job.queries.rows * width);
        for (head, q) in job.queries.packed[..heads.count].iter().enumerate() {
            let job = Job {
                heads,
                head,
                q,
                kv: job.tiles,
                visible: Visible::All { keys: job.keys },
                scale: job.scale,
                out: &mut scratch.narrow[head * heads.dim..],
                ldo: width,
            };
            engine.kernels.attend(job, &mut scratch.attention)?;
        }
        Ok(())
    }
}
