//! Threads that run when nobody else wants the processor.
//!
//! Attackers and their web server are on other machines than the host they attack; here
//! they are not. What they take of its processors would count as what the attack does
//! to the neighbour, and did: of `http-huge-head`, when it was written in pieces of
//! 50 bytes, two thirds of all the processors' time was this program's. Their requests and
//! answers are the same as before, and so is what the server makes of them.

/// Puts this thread, and those that it will start, behind all others.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(super) fn step_back() {
    const THIS_THREAD: libc::pid_t = 0;
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads the parameters behind the pointer and keeps nothing.
    // Where it refuses, the figures are only worse.
    unsafe { libc::sched_setscheduler(THIS_THREAD, libc::SCHED_IDLE, &raw const priority) };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn step_back() {}
