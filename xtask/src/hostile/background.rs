//! Threads that come last for the processor.
//!
//! Attackers and their web server are on other machines than the host they attack; here
//! they are not. What they take of its processors would count as what the attack does
//! to the neighbour, and did: of `http-huge-head`, when it was written in pieces of
//! 50 bytes, two thirds of all the processors' time was this program's. Their requests and
//! answers are the same as before, and so is what the server makes of them.
//!
//! The class that runs only when nobody else wants to (`SCHED_IDLE`) is not used: to
//! Linux a processor that runs such a thread is free, so it wakes the server's and the
//! neighbour's threads there although another stands still, and now and then they wait for
//! the clock's next tick, up to 4 ms.
//!
//! What a thread does inside the kernel, to send a piece of a flood say, nobody cuts short
//! on the kernels that servers have, however far behind it is. So they also keep off one
//! processor, as everything of the server's does that can wait.

#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The farthest behind there is.
#[cfg(target_os = "linux")]
const LAST: i32 = 19;

/// Longer than usual ones, which those with usual ones may then cut short.
#[cfg(target_os = "linux")]
const TURN: std::time::Duration = std::time::Duration::from_millis(10);

/// Puts this thread, and those that it will start, behind all others. Where it is refused,
/// the figures are only worse.
#[cfg(target_os = "linux")]
pub(super) fn step_back() {
    come_last();
    let _ = leave_one_processor();
}

/// Off the first of the processors that this program may use.
#[cfg(target_os = "linux")]
fn leave_one_processor() -> rustix::io::Result<()> {
    // Its first thread never stands back.
    let mut allowed = sched_getaffinity(Some(rustix::process::getpid()))?;
    let mut processors = (0..CpuSet::MAX_CPU).filter(|&it| allowed.is_set(it));
    if let (Some(first), Some(_another)) = (processors.next(), processors.next()) {
        allowed.unset(first);
        sched_setaffinity(None, &allowed)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn come_last() {
    const THIS_THREAD: libc::pid_t = 0;
    const NO_FLAGS: libc::c_uint = 0;
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
        sched_flags: 0,
        sched_nice: LAST,
        sched_priority: 0,
        sched_runtime: TURN.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads as many bytes behind the pointer as `size` says, which is
    // what the attributes have, and keeps nothing.
    unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            THIS_THREAD,
            &raw const attributes,
            NO_FLAGS,
        )
    };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn step_back() {}
