//! Long tables in large pages.
//!
//! zstd looks for matches in tables of tens of megabytes, here and there in them.
//! In pages of 2 MiB rather than 4 KiB a capture with `archive` takes less time;
//! most systems give those only to who asks.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;

use rustix::mm::{Advice, madvise};

/// The tables of `archive` are longer, and the buffers of a block are not.
const LEAST: usize = 16 << 20;
/// A large page of x86-64, and of arm64 with small pages of 4 KiB.
const PAGE: usize = 2 << 20;

/// The system's memory; for long tables large pages are asked for.
pub(crate) struct LargePages;

// SAFETY: every call goes to the system's allocator, and what was taken with
// `placed(layout)` goes back with it, for `placed` looks at the layout alone.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: at least as long and as aligned as `layout`, which the caller
        // promises is not empty.
        let memory = unsafe { System.alloc(placed(layout)) };
        if layout.size() >= LEAST {
            ask(memory, layout.size());
        }
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(placed(layout)) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: it was taken with the same layout, and goes back once.
        unsafe { System.dealloc(memory, placed(layout)) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() < LEAST && size < LEAST {
            // SAFETY: the caller's promises, passed on; neither is placed otherwise.
            return unsafe { System.realloc(memory, layout, size) };
        }
        // SAFETY: the caller promises that the new length fits the alignment, and
        // that `memory` holds the old one.
        unsafe { moved(self, memory, layout, size) }
    }
}

/// Takes, copies, gives back.
///
/// # Safety
/// As for [`GlobalAlloc::realloc`].
unsafe fn moved(from: &LargePages, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    // SAFETY: the promises of `realloc`: the length is not nothing and fits; the
    // two ranges are apart, and as much is copied as is in both.
    unsafe {
        let wanted = Layout::from_size_align_unchecked(size, layout.align());
        let new = from.alloc(wanted);
        if !new.is_null() {
            new.copy_from_nonoverlapping(memory, layout.size().min(size));
            from.dealloc(memory, layout);
        }
        new
    }
}

fn placed(layout: Layout) -> Layout {
    if layout.size() < LEAST {
        return layout;
    }
    layout.align_to(PAGE).unwrap_or(layout)
}

/// A wish only: where there are no large pages, small ones do.
fn ask(memory: *mut u8, length: usize) {
    if let Some(memory) = NonNull::new(memory) {
        // SAFETY: the range was just taken and nobody else knows of it; the
        // advice changes neither its bytes nor whether it may be touched.
        let _ = unsafe { madvise(memory.as_ptr().cast(), length, Advice::LinuxHugepage) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many bytes, none like its neighbours.
    fn bytes(length: usize) -> impl Iterator<Item = u8> {
        (0..length).map(|at| u8::try_from(at % 251).unwrap_or_default())
    }

    #[test]
    fn what_grows_and_shrinks_across_the_limit_keeps_its_bytes() {
        let mut all: Vec<u8> = bytes(LEAST - 1).collect();
        all.shrink_to_fit();
        all.reserve_exact(2);
        assert_eq!(all.as_ptr().addr() % PAGE, 0, "a long one begins a page");
        assert!(all.iter().copied().eq(bytes(LEAST - 1)));
        all.reserve_exact(2 * LEAST);
        assert!(all.iter().copied().eq(bytes(LEAST - 1)));
        all.truncate(1000);
        all.shrink_to_fit();
        assert!(all.iter().copied().eq(bytes(1000)));
    }

    #[test]
    fn a_long_one_of_nothing_is_nothing() {
        assert!(vec![0_u8; LEAST + 1].iter().all(|byte| *byte == 0));
        assert!(vec![0_u8; 1000].iter().all(|byte| *byte == 0));
    }
}
