//! Who comes after the server's own threads for the processor.
//!
//! Niceness alone says only how much of a processor each gets. Linux lets whoever has
//! it keep it for a while (until its next clock tick, 4 ms later as often as not), also
//! from a thread that is nicer to nobody and has just been woken: each guest that
//! computes, and each compiler, made all others wait for that long now and then. So
//! threads behind also ask for turns that are longer than usual, which any thread with
//! usual ones may then cut short (Linux 6.12; before, there is only the niceness).
//!
//! By the same rules whoever has just been woken may cut another short, if it had less
//! than its share: a guest that is woken in the slow lane, the worker that woke it. So those
//! that only compute are of the class that never does so (`SCHED_BATCH`).
//!
//! The class that runs only when nobody else wants to (`SCHED_IDLE`) is none for
//! compilers: to Linux a processor that runs such a one is free, so it wakes others there
//! although another stands still, and now and then they wait for a tick all the same.
//!
//! None of this cuts short what a thread does inside the kernel: to write a checkpoint's pages
//! out takes a millisecond in which, on the kernels that servers have, nobody else gets
//! that processor. Linux wakes whoever has to answer on a processor that stands still, if
//! there is one. So there is: all that is behind, and the store's writers, keep off one
//! processor of those that the process may use, where there are several.

use std::io;

use rustix::process::{Pid, getpid, getppid, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How far behind: a thread of the server gets about ten times as much of a processor
/// that both want.
const NICE: i32 = 10;

/// A turn of a thread behind. Only that it is longer than the usual one matters, which
/// is 3 ms at most.
#[cfg(target_os = "linux")]
const TURN: std::time::Duration = std::time::Duration::from_millis(10);

/// The farthest behind there is.
const LAST: i32 = 19;

/// Puts this thread behind those of the server. What of it is refused leaves the rest.
pub(crate) fn stand_behind() -> io::Result<()> {
    all([
        setpriority_process(None, NICE).map_err(io::Error::from),
        take_long_turns(Woken::MayCutShort, NICE),
        leave_one_processor(getpid()),
    ])
}

/// Puts this thread, which computes, behind those of the server. What of it is refused
/// leaves the rest.
pub(crate) fn compute_behind() -> io::Result<()> {
    all([
        setpriority_process(None, NICE).map_err(io::Error::from),
        take_long_turns(Woken::Waits, NICE),
        leave_one_processor(getpid()),
    ])
}

/// Lets any other thread of the server that is woken cut this one's turn short, and
/// leaves one processor to them. Of the others it gets as much as they do.
pub(crate) fn yield_to_others() -> io::Result<()> {
    all([
        take_long_turns(Woken::MayCutShort, 0),
        leave_one_processor(getpid()),
    ])
}

/// Puts this process, which has one thread yet and was started by the server, behind all
/// others.
pub(crate) fn come_last() -> io::Result<()> {
    setpriority_process(None, LAST)?;
    // Where a container forbids the rest, the niceness has to do. The processors are the
    // server's, which may have started it in a thread behind.
    let _ = take_long_turns(Woken::Waits, LAST);
    let _ = getppid().map(leave_one_processor);
    Ok(())
}

fn all<const N: usize>(steps: [io::Result<()>; N]) -> io::Result<()> {
    steps.into_iter().collect()
}

/// Keeps this thread, and those that it starts, off the first processor of those that a
/// process may use. The process's first thread, which is never behind, tells which those
/// are: who was started by a thread behind would give up another.
fn leave_one_processor(process: Pid) -> io::Result<()> {
    let mut allowed = sched_getaffinity(Some(process))?;
    let mut processors = (0..CpuSet::MAX_CPU).filter(|&it| allowed.is_set(it));
    if let (Some(first), Some(_another)) = (processors.next(), processors.next()) {
        allowed.unset(first);
        sched_setaffinity(None, &allowed)?;
    }
    Ok(())
}

/// What a thread does when it is woken while another has the processor.
#[derive(Debug, Clone, Copy)]
enum Woken {
    /// Linux decides, by what either has had.
    MayCutShort,
    Waits,
}

/// Of this thread and those that it starts; who is behind has to say so again.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn take_long_turns(woken: Woken, nice: i32) -> io::Result<()> {
    const THIS_THREAD: libc::pid_t = 0;
    const NO_FLAGS: libc::c_uint = 0;
    let policy = match woken {
        Woken::MayCutShort => libc::SCHED_OTHER,
        Woken::Waits => libc::SCHED_BATCH,
    };
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: policy.cast_unsigned(),
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: TURN.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads as many bytes behind the pointer as `size` says, which
    // is what the attributes have, writes nothing there and keeps nothing.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            THIS_THREAD,
            &raw const attributes,
            NO_FLAGS,
        )
    };
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread may run on after it has said so, and one that it starts then.
    fn processors_after(step: fn() -> io::Result<()>) -> [CpuSet; 2] {
        let on_its_own = move || {
            step().unwrap();
            sched_getaffinity(None).unwrap()
        };
        let thread = std::thread::spawn(move || {
            let own = on_its_own();
            let child = std::thread::spawn(on_its_own);
            [own, child.join().unwrap()]
        });
        thread.join().unwrap()
    }

    #[test]
    fn one_processor_is_left_to_others_and_only_one() {
        let all = sched_getaffinity(Some(getpid())).unwrap();
        let left = match all.count() {
            1 => 1,
            several => several - 1,
        };
        for step in [stand_behind, compute_behind, yield_to_others] {
            for processors in processors_after(step) {
                assert_eq!(processors.count(), left);
                assert!((0..CpuSet::MAX_CPU).all(|it| all.is_set(it) || !processors.is_set(it)));
            }
        }
    }
}
