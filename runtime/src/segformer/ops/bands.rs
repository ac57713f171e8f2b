//! The MLP's inner map, read while it is still being made: the depthwise convolution of some rows needs but those around them.
//!
//! With a wait between making all of it and reading any of it the map comes back from far away: MiT-b2's first ones are larger than
//! most second caches.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use igpt_kernels::Map;

use crate::ops::shares::Shares;

/// A map in the making, shared out in runs of rows.
pub(super) struct Bands<'a> {
    values: *mut f32,
    /// Pixels of a row of the map, and numbers of a pixel.
    width: usize,
    channels: usize,
    shares: Vec<Share>,
    map: PhantomData<&'a mut [f32]>,
}

/// A run of rows.
struct Share {
    tokens: Range<usize>,
    /// The pixels that its convolution reads: whole rows of the map.
    reads: Range<usize>,
    /// The shares that those are in.
    needs: Range<usize>,
    /// Somebody makes it, or has.
    begun: AtomicBool,
    /// It is there.
    made: AtomicBool,
    /// Somebody convolves it, or has.
    read: AtomicBool,
}

/// A band of a map around some of its pixels.
pub(super) struct Band<'a> {
    pub(super) map: Map<'a>,
    /// Those pixels, counted from the band's first.
    pub(super) tokens: Range<usize>,
}

// SAFETY: `values` is used in `make` and `each_readable` alone. A share's numbers are written by the one thread that has set its `begun`, before
// it sets `made`; they are read only after `made` was seen. Both are sequentially consistent, so that what was written is seen too.
unsafe impl Sync for Bands<'_> {}

impl<'a> Bands<'a> {
    /// Of `values` `[height * width, channels]`.
    pub(super) fn new(
        values: &'a mut [f32],
        (height, width): (usize, usize),
        channels: usize,
        shares: Shares,
    ) -> Self {
        assert_eq!(values.len(), height * width * channels, "a whole map");
        let mut shares: Vec<_> = shares
            .ranges()
            .map(|tokens| {
                let rows = (tokens.start / width).saturating_sub(1)
                    ..height.min((tokens.end - 1) / width + 2);
                Share {
                    reads: rows.start * width..rows.end * width,
                    tokens,
                    needs: 0..0,
                    begun: AtomicBool::new(false),
                    made: AtomicBool::new(false),
                    read: AtomicBool::new(false),
                }
            })
            .collect();
        for i in 0..shares.len() {
            let reads = shares[i].reads.clone();
            let begin = shares.partition_point(|share| share.tokens.end <= reads.start);
            let end = shares.partition_point(|share| share.tokens.start < reads.end);
            shares[i].needs = begin..end;
        }
        Self {
            values: values.as_mut_ptr(),
            width,
            channels,
            shares,
            map: PhantomData,
        }
    }

    /// Lets `make` fill share `i`, which may be asked for once.
    pub(super) fn make<E>(
        &self,
        i: usize,
        make: impl FnOnce(&mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let share = &self.shares[i];
        assert!(
            !share.begun.swap(true, Ordering::SeqCst),
            "a share is made once"
        );
        // SAFETY: within the map, of which shares are parts that do not overlap; this is the only time that this one is lent to be written, as
        // was checked just above, and nobody reads it before it is made.
        let values = unsafe {
            let first = self.values.add(share.tokens.start * self.channels);
            std::slice::from_raw_parts_mut(first, share.tokens.len() * self.channels)
        };
        make(values)?;
        share.made.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Lets `read` see the band of each share that needed share `i`, now made, and nothing else that is not: each is given once, to whoever made
    /// the last that it needs.
    pub(super) fn each_readable<E>(
        &self,
        i: usize,
        mut read: impl FnMut(usize, Band<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (j, share) in self.shares.iter().enumerate() {
            if !share.needs.contains(&i) {
                continue;
            }
            // If two threads have made the last two, at least the later of them sees both.
            let needs = &self.shares[share.needs.clone()];
            let there = needs.iter().all(|share| share.made.load(Ordering::SeqCst));
            if !there || share.read.swap(true, Ordering::SeqCst) {
                continue;
            }
            let reads = &share.reads;
            // SAFETY: within the map; all shares that it is in are made, and nobody writes them any more.
            let values = unsafe {
                let first = self.values.add(reads.start * self.channels);
                std::slice::from_raw_parts(first, reads.len() * self.channels)
            };
            let band = Band {
                map: Map {
                    values,
                    height: reads.len() / self.width,
                    width: self.width,
                    channels: self.channels,
                },
                tokens: share.tokens.start - reads.start..share.tokens.end - reads.start,
            };
            read(j, band)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::team;
    use std::sync::Mutex;

    /// Makes all shares of a map in some order, and says in which order which bands were read; every number must be what was made of it.
    fn read(size: (usize, usize), shares: Shares, order: &[usize]) -> Vec<usize> {
        let (height, width) = size;
        let mut values = vec![f32::NAN; height * width * 2];
        let bands = Bands::new(&mut values, size, 2, shares);
        let mut done = Vec::new();
        for &i in order {
            let tokens = bands.shares[i].tokens.clone();
            let fill = |out: &mut [f32]| {
                for (token, out) in tokens.zip(out.chunks_exact_mut(2)) {
                    out.fill(token as f32);
                }
                Ok::<(), ()>(())
            };
            assert_eq!(bands.make(i, fill), Ok(()));
            let read = bands.each_readable(i, |j, band| {
                let share = &bands.shares[j];
                let first = band.map.values[0];
                assert_eq!(first + band.tokens.start as f32, share.tokens.start as f32);
                assert_eq!(band.tokens.len(), share.tokens.len());
                for (k, pixel) in band.map.values.chunks_exact(2).enumerate() {
                    assert_eq!(pixel, [first + k as f32; 2]);
                }
                // A row above and below, unless the map ends there.
                assert!(first == 0.0 || band.tokens.start >= width);
                let below = band.map.height * width - band.tokens.end;
                assert!(below >= width || share.reads.end == height * width);
                done.push(j);
                Ok::<(), ()>(())
            });
            assert_eq!(read, Ok(()));
        }
        done
    }

    #[test]
    fn a_band_is_read_once_and_as_soon_as_it_is_there() {
        // Six shares of 32 of 14 rows of 14 pixels: each needs those beside it.
        let shares = Shares::new(14 * 14, 6, 4);
        assert_eq!(shares.len(), 6);
        assert_eq!(
            read((14, 14), shares, &[0, 1, 2, 3, 4, 5]),
            [0, 1, 2, 3, 4, 5]
        );
        assert_eq!(
            read((14, 14), shares, &[5, 0, 4, 1, 3, 2]),
            [5, 0, 4, 1, 2, 3]
        );
        // One row of the map in many shares, and a map in one.
        for (size, threads) in [((3, 200), 1), ((1, 130), 2), ((7, 7), 1), ((5, 1), 5)] {
            let shares = Shares::new(size.0 * size.1, threads, 1);
            let order: Vec<_> = (0..shares.len()).rev().collect();
            let mut done = read(size, shares, &order);
            done.sort_unstable();
            assert_eq!(done, (0..shares.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn threads_read_every_band_once() {
        let spawn = |help: Box<dyn FnOnce() + Send>| {
            std::thread::spawn(help);
        };
        team::lead(2, spawn, || {
            for _ in 0..200 {
                let mut values = vec![f32::NAN; 196];
                let shares = Shares::new(196, 3, 4);
                let bands = Bands::new(&mut values, (14, 14), 1, shares);
                let counts = Mutex::new(vec![0; shares.len()]);
                let done: Result<(), ()> = team::try_each(shares.ranges(), |i, _| {
                    bands.make(i, |out| {
                        out.fill(1.0);
                        Ok::<(), ()>(())
                    })?;
                    bands.each_readable(i, |j, band| {
                        assert!(band.map.values.iter().all(|x| *x == 1.0));
                        counts.lock().unwrap()[j] += 1;
                        Ok(())
                    })
                });
                assert_eq!(done, Ok(()));
                assert!(counts.into_inner().unwrap().iter().all(|count| *count == 1));
            }
        });
    }
}
