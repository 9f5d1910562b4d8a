//! Who comes after the server's own threads for the processor.
//!
//! Niceness alone says only how much of a processor each gets. Linux lets whoever has
//! it keep it for a while (until its next clock tick, 4 ms later as often as not), also
//! from a thread that is nicer to nobody and has just been woken: each guest that
//! computes, and each compiler, made all others wait for that long now and then. So
//! threads behind also ask for turns that are longer than usual, which any thread with
//! usual ones may then cut short (Linux 6.12; before, there is only the niceness).
//!
//! The class that runs only when nobody else wants to (`SCHED_IDLE`) is none for
//! compilers: to Linux a processor that runs such a one is free, so it wakes others there
//! although another stands still, and now and then they wait for a tick all the same.

use std::io;

/// How far behind: a thread of the server gets about ten times as much of a processor
/// that both want.
const NICE: i32 = 10;

/// A turn of a thread behind. Only that it is longer than the usual one matters, which
/// is 3 ms at most.
#[cfg(target_os = "linux")]
const TURN: std::time::Duration = std::time::Duration::from_millis(10);

/// The farthest behind there is.
const LAST: i32 = 19;

/// Puts this thread behind those of the server.
pub(crate) fn stand_behind() -> io::Result<()> {
    rustix::process::setpriority_process(None, NICE)?;
    take_long_turns(NICE)
}

/// Lets any other thread of the server that is woken cut this one's turn short. It gets
/// as much of a processor as others.
pub(crate) fn yield_to_others() -> io::Result<()> {
    take_long_turns(0)
}

/// Puts this process, which has one thread yet, behind all others.
pub(crate) fn come_last() -> io::Result<()> {
    rustix::process::setpriority_process(None, LAST)?;
    // Where a container forbids it, the niceness has to do.
    let _ = take_long_turns(LAST);
    Ok(())
}

/// Of this thread and those that it starts; who is behind has to say so again.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn take_long_turns(nice: i32) -> io::Result<()> {
    const THIS_THREAD: libc::pid_t = 0;
    const NO_FLAGS: libc::c_uint = 0;
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
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
