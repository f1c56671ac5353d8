//! Counts allocations of this process while it is told to.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static COUNTS: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The system's allocator. It counts, in parts of a run that are not timed; otherwise it costs a look at a flag.
#[derive(Debug)]
pub struct Counting;

impl Counting {
    fn note(bytes: usize) {
        if COUNTS.load(Relaxed) {
            COUNT.fetch_add(1, Relaxed);
            BYTES.fetch_add(bytes as u64, Relaxed);
        }
    }
}

// SAFETY: all is done by the system's allocator.
#[expect(unsafe_code, reason = "there is no other way to count allocations of everybody's code")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::note(size);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

/// Counts from here on.
pub fn start() {
    COUNT.store(0, Relaxed);
    BYTES.store(0, Relaxed);
    COUNTS.store(true, Relaxed);
}

/// Counts no more. Allocations since [`start`], and their bytes.
pub fn stop() -> (f64, f64) {
    COUNTS.store(false, Relaxed);
    (COUNT.load(Relaxed) as f64, BYTES.load(Relaxed) as f64)
}
