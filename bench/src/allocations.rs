//! Counts what a peer allocates and says so when asked by `SIGUSR1`.
//!
//! Asking by signal costs the server nothing between two questions: no thread, no route, no timer.
#![expect(unsafe_code, reason = "an allocator and a signal handler cannot be written without")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The word that starts a report line on standard error: `allocations COUNT BYTES`.
pub const REPORT: &str = "allocations";

/// The system's allocator with two counters: calls that allocate or grow, and the bytes they asked for.
///
/// The counters are added to by a load and a store. Peers run on one thread, so nothing gets lost, and a
/// locked instruction at each of several hundred allocations would slow the peers that allocate most.
#[derive(Debug)]
pub struct Counting;

fn count(bytes: usize) {
    COUNT.store(COUNT.load(Relaxed) + 1, Relaxed);
    BYTES.store(BYTES.load(Relaxed) + bytes as u64, Relaxed);
}

// SAFETY: every call goes to `System` with its arguments unchanged; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract, which is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: `block` came from `System`, as every block does here.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `realloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Calls that allocated or grew something so far, and the bytes they asked for.
pub fn so_far() -> (u64, u64) {
    (COUNT.load(Relaxed), BYTES.load(Relaxed))
}

/// From now on each `SIGUSR1` writes one [`REPORT`] line to standard error.
///
/// # Errors
/// When the operating system refuses the handler.
pub fn report_on_signal() -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int) = report;
    // SAFETY: `report` only loads atomics, formats into its own stack and calls `write`, all of which
    // are allowed in a signal handler.
    let before = unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

extern "C" fn report(_signal: libc::c_int) {
    let mut line = Line { bytes: [0; 64], filled: 0 };
    line.text(REPORT.as_bytes());
    line.number(COUNT.load(Relaxed));
    line.number(BYTES.load(Relaxed));
    line.text(b"\n");
    // SAFETY: the first `filled` bytes are initialized and live until the call returns.
    unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.filled) };
}

/// A line that is formatted without allocating, as a signal handler must.
struct Line {
    bytes: [u8; 64],
    filled: usize,
}

impl Line {
    fn text(&mut self, text: &[u8]) {
        self.bytes[self.filled..self.filled + text.len()].copy_from_slice(text);
        self.filled += text.len();
    }

    fn number(&mut self, mut number: u64) {
        let mut digits = [b' '; 21];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.text(&digits[first - 1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_line_holds_the_largest_counts() {
        let mut line = Line { bytes: [0; 64], filled: 0 };
        line.text(REPORT.as_bytes());
        line.number(u64::MAX);
        line.number(0);
        line.text(b"\n");
        assert_eq!(&line.bytes[..line.filled], b"allocations 18446744073709551615 0\n");
    }
}
