//! Times contestants interleaved: in each round every one runs for a moment, so that what else the
//! machine does falls on all of them. The result is a median over rounds.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// How long a contestant runs in a round, and how many rounds there are.
fn plan() -> (Duration, usize) {
    if is_quick() {
        (Duration::from_millis(2), 1)
    } else {
        (Duration::from_millis(20), 11)
    }
}

/// Whether this run only shows that everything works.
pub fn is_quick() -> bool {
    std::env::var_os("BENCH_QUICK").is_some()
}

/// One way of doing a job; each call does it once.
pub struct Contestant<'a> {
    pub name: &'static str,
    op: Box<dyn FnMut() + 'a>,
}

/// Nanoseconds of one call, round by round, and the allocations of one call.
#[derive(Debug)]
pub struct Measured {
    pub name: &'static str,
    pub rounds: Vec<f64>,
    pub allocs: u64,
}

impl<'a> Contestant<'a> {
    pub fn new(name: &'static str, op: impl FnMut() + 'a) -> Self {
        Self {
            name,
            op: Box::new(op),
        }
    }

    fn time(&mut self, calls: u64) -> Duration {
        let start = thread_time();
        for _ in 0..calls {
            black_box(&mut self.op)();
        }
        thread_time() - start
    }

    /// How many calls fit into a slice.
    fn calibrate(&mut self, slice: Duration) -> u64 {
        let mut calls = 1;
        loop {
            let took = self.time(calls);
            if took > slice / 4 {
                let ns = took.as_nanos() as f64 / calls as f64;
                return (slice.as_nanos() as f64 / ns).max(1.0) as u64;
            }
            calls *= 2;
        }
    }
}

impl Measured {
    pub fn median(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// The median of what it took above `base` in the same round.
    pub fn above(&self, base: &Self) -> f64 {
        let pairs = self.rounds.iter().zip(&base.rounds);
        median(pairs.map(|(it, base)| it - base).collect())
    }
}

/// The time that this thread was at work: what else runs on the machine does not count.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len().is_multiple_of(2) {
        (numbers[middle - 1] + numbers[middle]) / 2.0
    } else {
        numbers[middle]
    }
}

/// Runs them all, round by round.
pub fn race(mut contestants: Vec<Contestant<'_>>) -> Vec<Measured> {
    let (slice, rounds) = plan();
    let calls: Vec<u64> = contestants
        .iter_mut()
        .map(|it| it.calibrate(slice))
        .collect();
    let mut measured: Vec<Measured> = contestants
        .iter_mut()
        .map(|it| Measured {
            name: it.name,
            rounds: Vec::new(),
            allocs: allocations(&mut it.op),
        })
        .collect();
    for _ in 0..rounds {
        for ((it, calls), measured) in contestants.iter_mut().zip(&calls).zip(&mut measured) {
            let ns = it.time(*calls).as_nanos() as f64 / *calls as f64;
            measured.rounds.push(ns);
        }
    }
    measured
}

/// Allocations of one call, as most of a few calls have it.
fn allocations(op: &mut dyn FnMut()) -> u64 {
    let mut counts: Vec<u64> = (0..33)
        .map(|_| {
            COUNT.set(Some(0));
            op();
            COUNT.take().unwrap_or(0)
        })
        .collect();
    counts.sort_unstable();
    counts[counts.len() / 2]
}

thread_local! {
    /// The allocations of this thread since somebody wanted to know.
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The system's allocator, which counts where it is told to.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // Not when the thread ends.
    let _ = COUNT.try_with(|count| count.set(count.get().map(|n| n + 1)));
}

// SAFETY: everything is handed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}
