//! What this machine can do at most, and what this process takes of it.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use igpt_runtime::tools::{peak_benchmark, read_benchmark, tile_benchmark};
use igpt_runtime::{Isa, IsaError};
use memmap2::MmapMut;

use crate::failure::{Blame as _, Failure};

/// Samples of a rate; the best is kept, since other programs can only slow one down.
const SAMPLES: usize = 50;
/// How long a sample lasts: many times the clock's grain, and shorter than a time slice, so that some fall
/// between disturbances.
const SAMPLE: Duration = Duration::from_millis(1);
/// Times that a buffer is read, for the same reason.
const READS: usize = 5;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Bytes of a MiB.
pub(super) const MIB: u64 = 1 << 20;

/// 10^9 multiply-accumulates a second of `threads` threads that do nothing but the dot products of `isa`, on
/// registers.
pub(super) fn register_peak(isa: Isa, threads: usize) -> Result<f64, Failure> {
    rate(threads, || peak_benchmark(isa, 2_000))
}

/// The same of the kernels' tile on operands that stay in the nearest cache: what a layer of these kernels
/// can reach.
pub(super) fn tile_rate(isa: Isa, threads: usize) -> Result<f64, Failure> {
    rate(threads, || tile_benchmark(isa, 20))
}

/// Repeats `work`, which says how much it did, on every thread at once; the best sum of several samples, in
/// 10^9 a second.
fn rate(threads: usize, work: impl Fn() -> Result<u64, IsaError> + Sync) -> Result<f64, Failure> {
    let mut best = 0f64;
    for _ in 0..SAMPLES {
        let per_thread = on_threads(threads, |_| {
            let start = Instant::now();
            let mut done = 0;
            while start.elapsed() < SAMPLE {
                done += work()?;
            }
            Ok::<f64, IsaError>(done as f64 / 1e9 / start.elapsed().as_secs_f64())
        })?;
        best = best.max(per_thread.into_iter().sum::<Result<f64, _>>().failed()?);
    }
    Ok(best)
}

/// Runs `task` with each index below `threads`, all at once.
fn on_threads<T: Send>(
    threads: usize,
    task: impl Fn(usize) -> T + Sync,
) -> Result<Vec<T>, Failure> {
    let task = &task;
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|index| scope.spawn(move || task(index)))
            .collect();
        all.into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked")))
            .collect::<Result<_, _>>()
    })
    .failed()
}

/// 10^9 bytes a second that `threads` threads read out of a buffer of so many bytes, over and over, each its
/// own part.
pub(super) fn bandwidth(bytes: u64, threads: usize) -> Result<f64, Failure> {
    // In huge pages where there are any, as the weights are. Not zeros, which would all be one page of memory
    // until written to.
    let mut map = MmapMut::map_anon((bytes as usize).max(1)).failed()?;
    #[cfg(target_os = "linux")]
    {
        let _ = map.advise(memmap2::Advice::HugePage);
    }
    map.fill(1);
    let part = map.len().div_ceil(threads).next_multiple_of(LINE);
    let mut best = 0f64;
    for _ in 0..READS {
        let start = Instant::now();
        on_threads(threads, |index| {
            black_box(read_benchmark(
                map.chunks(part).nth(index).unwrap_or_default(),
            ))
        })?;
        best = best.max(bytes as f64 / 1e9 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Bytes of a buffer that no cache holds: four times the largest, within 64 MiB to 1 GiB and a quarter of the
/// free memory.
pub(super) fn beyond_caches() -> u64 {
    let largest = (0..8)
        .filter_map(|index| {
            let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
            let text = fs::read_to_string(path).ok()?;
            // "32768K"
            text.trim().strip_suffix('K')?.parse::<u64>().ok()
        })
        .max()
        .unwrap_or(0)
        * 1024;
    let free = meminfo("/proc/meminfo", "MemAvailable:").unwrap_or(1024 * MIB);
    (4 * largest)
        .clamp(64 * MIB, 1024 * MIB)
        .min(free / 4)
        .max(MIB)
}

/// Bytes that a line of a file of /proc says, in kB.
fn meminfo(path: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Largest resident memory of this process since [`forget_peak`], bytes; `None` where the system does not
/// say.
pub(super) fn peak_memory() -> Option<u64> {
    meminfo("/proc/self/status", "VmHWM:")
}

/// Starts the peak again from what is resident now, where the system can: making a random checkpoint is not
/// what is measured.
pub(super) fn forget_peak() {
    // proc_pid_clear_refs(5): 5 resets the high water mark. Without it the peak is an upper bound.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Minor and major page faults of this process so far; 0 where the system does not say.
pub(super) fn page_faults() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses, fields 10 and 12 of proc_pid_stat(5).
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    [7, 9]
        .iter()
        .filter_map(|i| fields.get(*i)?.parse::<u64>().ok())
        .sum()
}

/// The processor's name and the instruction-set flags that the system lists for it.
pub(super) fn processor() -> (String, Vec<String>) {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |keys: &[&str]| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            keys.contains(&key.trim()).then(|| value.trim().to_owned())
        })
    };
    let board = || fs::read_to_string("/proc/device-tree/model").ok();
    let name = field(&["model name", "Model"])
        .or_else(board)
        .unwrap_or_else(|| std::env::consts::ARCH.into());
    let flags = field(&["flags", "Features"]).unwrap_or_default();
    (
        name.trim_end_matches('\0').to_owned(),
        flags.split_whitespace().map(str::to_owned).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_read_by_every_number_of_threads() {
        for threads in [1, 3] {
            let rate = bandwidth(MIB, threads).unwrap();
            assert!(rate > 0.01, "{rate} GB/s");
        }
    }

    #[test]
    fn a_missing_instruction_set_is_an_error_on_every_thread() {
        for isa in Isa::ALL {
            assert_eq!(register_peak(isa, 2).is_ok(), isa.is_available(), "{isa}");
        }
    }
}
