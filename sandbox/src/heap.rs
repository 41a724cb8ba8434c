//! The allocator of a long-lived node, told to give memory back.
//!
//! Left alone, glibc gives each busy thread a heap of its own and, once a large buffer was freed, takes
//! the next of that size from the heap, where it is seldom returned: after a burst of full blocks a node
//! kept twice what it used (ADR 17). It stands here because here is where libc is spoken to.

use crate::sys;

/// Heaps: our threads allocate little at the same time, and each further heap has its own holes.
const ARENAS: i32 = 1;
/// From this many bytes on a buffer is mapped by itself, and is gone when it is freed.
const MAPPED_FROM: i32 = 128 << 10;
/// So much may lie unused at the heap's end.
const SPARE_END: i32 = 256 << 10;

/// Bounds what the allocator keeps of what was freed. Called before there is a second thread.
///
/// Returns whether the allocator took it; one that did not goes on as before.
pub fn keep_heap_small() -> bool {
    let options = [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, MAPPED_FROM),
        (libc::M_TRIM_THRESHOLD, SPARE_END),
    ];
    options
        .into_iter()
        .all(|(option, value)| sys::allocator_option(option, value))
}

/// Gives pages back that lie free between others: after a burst most of a heap is such holes. Other
/// threads that allocate wait meanwhile, some milliseconds for a hundred MiB.
///
/// Returns whether anything was given back.
pub fn give_back_heap() -> bool {
    sys::trim_heaps()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 24 << 20;

    /// Goal: what was large is given back. Method: freeing a mapped buffer raises glibc's threshold to
    /// its size, so that the next one would come from the heap, unless the threshold was set.
    #[test]
    fn large_buffers_never_move_into_the_heap() {
        assert!(keep_heap_small());
        drop(Vec::<u8>::with_capacity(LARGE));
        let before = sys::mapped_bytes();
        let buffer = Vec::<u8>::with_capacity(LARGE);
        // Other tests of this process map little beside this.
        assert!(
            sys::mapped_bytes() >= before + LARGE / 2,
            "{} bytes",
            buffer.capacity()
        );
    }

    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// Goal: what lies free between others is given back as well. Method: every other one of many small
    /// buffers goes, so that nothing at the heap's end is free.
    #[test]
    fn holes_are_given_back() {
        const EACH: usize = 64 << 10;
        let mut buffers: Vec<Option<Vec<u8>>> = (0..1024).map(|_| Some(vec![1; EACH])).collect();
        buffers
            .iter_mut()
            .step_by(2)
            .for_each(|buffer| *buffer = None);
        let before = resident();
        assert!(give_back_heap());
        // Thirty-two MiB are free; other tests of this process take little meanwhile.
        assert!(resident() + (16 << 20) < before, "{before}");
    }
}
