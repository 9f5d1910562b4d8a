//! Who comes after the server's own threads for the processor.
//!
//! Niceness alone says only how much of a processor each gets. Linux lets whoever has
//! it keep it for a while (until its next clock tick, 4 ms later as often as not), also
//! from a thread that is nicer to nobody and has just been woken: each guest that
//! computes, and each compiler, made all others wait for that long now and then. So
//! threads behind also ask for turns that are longer than usual, which any thread with
//! usual ones may then cut short (Linux 6.12; before, there is only the niceness), and
//! compilers are of the class that runs when nobody else wants to.

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
    #[cfg(target_os = "linux")]
    schedule(&libc::sched_attr {
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
        sched_nice: NICE,
        sched_runtime: TURN.as_nanos() as u64,
        ..unset()
    })?;
    Ok(())
}

/// Lets any other thread of the server that is woken cut this one's turn short. It gets
/// as much of a processor as others.
pub(crate) fn yield_to_others() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    schedule(&libc::sched_attr {
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
        sched_runtime: TURN.as_nanos() as u64,
        ..unset()
    })?;
    Ok(())
}

/// Lets this process, which has one thread yet, run only when nobody else wants to.
pub(crate) fn come_last() -> io::Result<()> {
    rustix::process::nice(LAST)?;
    // Where a container forbids it, the niceness has to do.
    #[cfg(target_os = "linux")]
    let _ = schedule(&libc::sched_attr {
        sched_policy: libc::SCHED_IDLE.cast_unsigned(),
        sched_nice: LAST,
        ..unset()
    });
    Ok(())
}

#[cfg(target_os = "linux")]
fn unset() -> libc::sched_attr {
    libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    }
}

/// Sets how this thread is scheduled, and those that it starts.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn schedule(attributes: &libc::sched_attr) -> io::Result<()> {
    const THIS_THREAD: libc::pid_t = 0;
    const NO_FLAGS: libc::c_uint = 0;
    // SAFETY: the kernel reads as many bytes behind the pointer as `size` says, which
    // is what the attributes have, writes nothing there and keeps nothing.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            THIS_THREAD,
            std::ptr::from_ref(attributes),
            NO_FLAGS,
        )
    };
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    /// The policy and the niceness of this thread, as the system sees them.
    fn scheduling() -> (i32, i32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // Behind the name, which may hold anything; see proc_pid_stat(5).
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        (fields[38].parse().unwrap(), fields[16].parse().unwrap())
    }

    #[test]
    fn threads_behind_stay_ordinary_and_compilers_run_when_nobody_else_wants_to() {
        let seen = std::thread::spawn(|| {
            yield_to_others().unwrap();
            assert_eq!(scheduling(), (libc::SCHED_OTHER, 0));
            stand_behind().unwrap();
            let behind = scheduling();
            come_last().unwrap();
            let inherited = std::thread::spawn(scheduling).join().unwrap();
            (behind, scheduling(), inherited)
        });
        let (behind, last, inherited) = seen.join().unwrap();
        assert_eq!(behind, (libc::SCHED_OTHER, NICE));
        assert_eq!(last, (libc::SCHED_IDLE, LAST));
        assert_eq!(inherited, last);
    }
}
