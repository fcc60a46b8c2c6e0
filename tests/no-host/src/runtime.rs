//! What a module without std and without a host has to bring along: an entry, memory, and an end to panics.
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait, an exported name because no linker checks it")]

use alloc::format;
use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::sync::atomic::{AtomicUsize, Ordering};

const PAGE: usize = 65_536;

/// Hands out fresh memory and takes nothing back: a life is short.
struct Bump {
    /// The first free address; zero before the first allocation.
    next: AtomicUsize,
    /// The end of the memory obtained so far.
    end: AtomicUsize,
}

#[global_allocator]
static MEMORY: Bump = Bump { next: AtomicUsize::new(0), end: AtomicUsize::new(0) };

// SAFETY: every block starts at or after the end of the one before and lies in pages that only this allocator has asked
// for. A module has one thread, so nothing happens between a load and its store.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut end = self.end.load(Ordering::Relaxed);
        let free = if end == 0 { wasm32::memory_size(0) * PAGE } else { self.next.load(Ordering::Relaxed) };
        let start = free.next_multiple_of(layout.align());
        let Some(next) = start.checked_add(layout.size()) else { return core::ptr::null_mut() };
        if next > end.max(free) {
            let pages = (next - end.max(free)).div_ceil(PAGE);
            let grown = wasm32::memory_grow(0, pages);
            if grown == usize::MAX {
                return core::ptr::null_mut();
            }
            end = (grown + pages) * PAGE;
        }
        self.end.store(end, Ordering::Relaxed);
        self.next.store(next, Ordering::Relaxed);
        core::ptr::without_provenance_mut(start)
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// A panic becomes a trap, which fails the test.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    wasm32::unreachable()
}

#[unsafe(no_mangle)]
extern "C" fn play(seed: u64) -> u64 {
    crate::play(seed)
}

/// How many traces the module carries.
#[unsafe(no_mangle)]
extern "C" fn traces() -> usize {
    crate::TRACES.len()
}

/// The line of one trace: its digest, two spaces, its name. Where it begins, for the lower half, and how many bytes it has,
/// for the upper one.
#[unsafe(no_mangle)]
extern "C" fn replay(index: usize) -> u64 {
    let (name, trace) = crate::TRACES[index];
    let line = format!("{}  {name}", crate::digest(trace)).leak();
    (line.len() as u64) << 32 | line.as_ptr().addr() as u64
}
