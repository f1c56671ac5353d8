//! Interleaved timing: rounds in which every codec runs one batch of the same row, in rotating order, so that a
//! frequency change or a noisy neighbour meets all of them alike.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::checksum::Checksum;
use crate::workload::{Feed, Version, Workload};

/// A codec as one side of the comparison.
pub trait Adapter {
    fn name(&self) -> &'static str;
    /// Whether decoded packets borrow from the receive buffer, which is less work than packets that can be kept.
    fn borrows(&self) -> bool {
        false
    }
    /// `None` when the codec does not do this at all.
    fn decoder(&self, version: Version, workload: &Workload) -> Option<Decoder>;
    fn encoder(&self, version: Version, workload: &Workload) -> Option<Encoder>;
}

/// Decodes the wire bytes so many times over. The loop is inside, so that a packet costs no indirect call.
pub type Decoder = Box<dyn FnMut(&[u8], usize) -> Result<Batch, String>>;
/// Encodes so many packets, in turn those of the workload.
pub struct Encoder {
    pub run: Box<dyn FnMut(usize) -> Result<Batch, String>>,
    /// The bytes of all packets of the workload, to be compared with those expected.
    pub wire: Box<dyn FnMut() -> Result<Vec<u8>, String>>,
}

/// What one batch took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Batch {
    pub packets: u64,
    pub checksum: u64,
    pub elapsed: Duration,
    pub allocations: u64,
}

/// The decoding half of a codec, for the loop of [`decoder`].
pub trait Decode {
    type Buffer: Buffer;
    /// Takes a packet from the buffer's front, adds what it says to `sum` and drops it; false when bytes lack.
    fn decode(&mut self, buffer: &mut Self::Buffer, sum: &mut Checksum) -> Result<bool, String>;
}

/// A receive buffer.
pub trait Buffer {
    /// Of 64 KiB.
    fn new() -> Self;
    fn append(&mut self, bytes: &[u8]);
}

pub const CAPACITY: usize = 64 * 1024;

impl Buffer for bytes::BytesMut {
    fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// Reserves when room lacks: the allocation is used again once no packet shares it, and replaced otherwise.
    #[inline(always)]
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A plain buffer for codecs that borrow from it.
pub struct Plain {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer for Plain {
    fn new() -> Self {
        Self { bytes: Vec::with_capacity(CAPACITY), start: 0 }
    }

    #[inline(always)]
    fn append(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }
}

impl Plain {
    /// The bytes not yet decoded.
    #[inline(always)]
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    #[inline(always)]
    pub fn consume(&mut self, len: usize) {
        self.start += len;
    }
}

/// Runs `work` and adds what it took to `batch`.
fn timed(batch: &mut Batch, work: impl FnOnce() -> Result<u64, String>) -> Result<(), String> {
    let allocations = Counting::count();
    let start = now();
    let packets = work()?;
    batch.elapsed += now() - start;
    batch.allocations += Counting::count() - allocations;
    batch.packets += packets;
    Ok(())
}

/// A batch that is `work` alone.
pub fn run_timed(work: impl FnOnce() -> Result<u64, String>) -> Result<Batch, String> {
    let mut batch = Batch::default();
    timed(&mut batch, work)?;
    Ok(batch)
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// The decode loop of every codec, compiled for each.
pub fn decoder<D: Decode + 'static>(mut codec: D, feed: Feed) -> Option<Decoder> {
    /// 4 MiB of the largest packet.
    const PREFILLED: usize = 32;
    let mut buffer = D::Buffer::new();
    Some(Box::new(move |wire, iterations| {
        let (mut batch, mut sum) = (Batch::default(), Checksum::default());
        match feed {
            Feed::Packet => timed(&mut batch, || {
                for _ in 0..iterations {
                    buffer.append(black_box(wire));
                    one(&mut codec, &mut buffer, &mut sum)?;
                }
                Ok(iterations as u64)
            })?,
            Feed::InBuffer => {
                for block in blocks(iterations, PREFILLED) {
                    (0..block).for_each(|_| buffer.append(wire));
                    timed(&mut batch, || {
                        (0..block).try_for_each(|_| one(&mut codec, &mut buffer, &mut sum))?;
                        Ok(block as u64)
                    })?;
                }
            }
            Feed::Pieces(piece) => timed(&mut batch, || {
                let mut packets = 0;
                for _ in 0..iterations {
                    for piece in black_box(wire).chunks(piece) {
                        buffer.append(piece);
                        while codec.decode(&mut buffer, &mut sum)? {
                            packets += 1;
                        }
                    }
                }
                Ok(packets)
            })?,
        }
        batch.checksum = sum.0;
        Ok(batch)
    }))
}

#[inline(always)]
fn one<D: Decode>(codec: &mut D, buffer: &mut D::Buffer, sum: &mut Checksum) -> Result<(), String> {
    if codec.decode(buffer, sum)? { Ok(()) } else { Err("no packet where one is complete".into()) }
}

/// The encoding half of a codec, for the loop of [`encoder`].
pub trait Encode {
    /// What is handed to the codec: a clone for one that consumes packets, an index for one that borrows them.
    type Item;
    /// How many packets there are.
    fn len(&self) -> usize;
    /// Called with the clock stopped.
    fn prepare(&self, index: usize) -> Self::Item;
    /// Clears the buffer, encodes into it and returns how many bytes it holds now.
    fn encode(&mut self, item: Self::Item) -> Result<usize, String>;
    /// What the buffer holds.
    fn wire(&self) -> Vec<u8>;
}

/// The encode loop of every codec, compiled for each.
pub fn encoder<E: Encode + 'static>(codec: E) -> Option<Encoder> {
    const PREPARED: usize = 512;
    let codec = std::rc::Rc::new(std::cell::RefCell::new(codec));
    let (for_run, for_wire) = (codec.clone(), codec);
    let mut items = Vec::with_capacity(PREPARED);
    let mut next = 0;
    let run = move |iterations| {
        let codec = &mut *for_run.borrow_mut();
        let mut batch = Batch::default();
        for block in blocks(iterations, PREPARED) {
            for _ in 0..block {
                items.push(codec.prepare(next));
                next = (next + 1) % codec.len();
            }
            timed(&mut batch, || {
                for item in items.drain(..) {
                    codec.encode(black_box(item))?;
                    black_box(&mut *codec);
                }
                Ok(block as u64)
            })?;
        }
        Ok(batch)
    };
    let wire = move || {
        let codec = &mut *for_wire.borrow_mut();
        let mut wire = Vec::new();
        for index in 0..codec.len() {
            let len = codec.encode(codec.prepare(index))?;
            let packet = codec.wire();
            if len != packet.len() {
                return Err(format!("says {len} bytes and wrote {}", packet.len()));
            }
            wire.extend(packet);
        }
        Ok(wire)
    };
    Some(Encoder { run: Box::new(run), wire: Box::new(wire) })
}

/// `total` cut into parts of at most `size`.
fn blocks(total: usize, size: usize) -> impl Iterator<Item = usize> {
    (0..total).step_by(size).map(move |done| size.min(total - done))
}

/// One codec in one row.
pub struct Lane<'a> {
    run: Box<dyn FnMut(usize) -> Result<Batch, String> + 'a>,
    iterations: usize,
    /// Nanoseconds a packet, one for each round.
    samples: Vec<f64>,
    allocations: f64,
}

/// What a codec showed in one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub median: f64,
    pub best: f64,
    pub allocations: f64,
}

/// How long to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    pub rounds: usize,
    pub batch: Duration,
}

impl<'a> Lane<'a> {
    /// Warms the codec up, finds how many iterations a batch takes, and counts allocations.
    pub fn new(
        mut run: impl FnMut(usize) -> Result<Batch, String> + 'a,
        effort: Effort,
    ) -> Result<Self, String> {
        // By what a batch takes in all, the time with the clock stopped included: filling buffers can be most of it.
        let mut run_for = |iterations| {
            let start = now();
            run(iterations).map(|batch| (batch, now() - start))
        };
        let mut iterations = 1;
        let (mut batch, mut took) = run_for(iterations)?;
        while took * 4 < effort.batch {
            iterations *= 2;
            (batch, took) = run_for(iterations)?;
        }
        let scale = effort.batch.as_secs_f64() / took.as_secs_f64();
        let per_iteration = batch.packets as f64 / iterations as f64;
        iterations = ((iterations as f64 * scale) as usize).max(1);
        let counted = run((10_000.0 / per_iteration).ceil() as usize)?;
        Ok(Self {
            run: Box::new(run),
            iterations,
            samples: Vec::new(),
            allocations: counted.allocations as f64 / counted.packets as f64,
        })
    }

    fn batch(&mut self) -> Result<(), String> {
        let batch = (self.run)(self.iterations)?;
        self.samples.push(batch.elapsed.as_secs_f64() * 1e9 / batch.packets as f64);
        Ok(())
    }

    fn measured(&self) -> Measured {
        let mut samples = self.samples.clone();
        samples.sort_by(f64::total_cmp);
        let best = samples.first().copied().unwrap_or(f64::NAN);
        Measured { median: median(&samples), best, allocations: self.allocations }
    }
}

/// Of a sorted list.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.get(middle), middle.checked_sub(1).and_then(|below| sorted.get(below))) {
        (Some(high), Some(low)) if sorted.len().is_multiple_of(2) => (low + high) / 2.0,
        (Some(middle), _) => *middle,
        _ => f64::NAN,
    }
}

/// Runs the lanes side by side.
pub fn interleave(lanes: &mut [Lane<'_>], effort: Effort) -> Result<Vec<Measured>, String> {
    for round in 0..effort.rounds {
        for turn in 0..lanes.len() {
            let at = (round + turn) % lanes.len();
            lanes[at].batch()?;
        }
    }
    Ok(lanes.iter().map(Lane::measured).collect())
}

/// The system's allocator, counting.
pub struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

impl Counting {
    fn count() -> u64 {
        ALLOCATIONS.load(Ordering::Relaxed)
    }

    /// Not a locked addition, which would cost codecs that allocate some 5 ns each time: there is one thread.
    #[inline(always)]
    fn add() {
        ALLOCATIONS.store(Self::count() + 1, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::add();
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::add();
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::add();
        unsafe { System.realloc(memory, layout, size) }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn blocks_add_up() {
        assert_eq!(blocks(70, 32).collect::<Vec<_>>(), [32, 32, 6]);
        assert_eq!(blocks(0, 32).count(), 0);
    }

    #[test]
    fn a_plain_buffer_keeps_what_is_not_decoded() {
        let mut buffer = Plain::new();
        buffer.append(&[1; CAPACITY - 1]);
        buffer.consume(CAPACITY - 2);
        buffer.append(&[2; 8]);
        assert_eq!(buffer.rest(), [1, 2, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(buffer.start, 0);
    }
}
