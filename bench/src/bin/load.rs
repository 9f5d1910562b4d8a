//! Reads an order from standard input, carries it out, says what came of it.

use std::io;

use anyhow::{Context as _, Result};
use hookswitch_bench::load::{self, Order};

fn main() -> Result<()> {
    interrupt_nobody().context("the load would interrupt what it measures")?;
    let order: Order = serde_json::from_reader(io::stdin().lock()).context("no order")?;
    let outcome = load::run(order)?;
    serde_json::to_writer(io::stdout().lock(), &outcome)?;
    Ok(())
}

/// Has this process wait for a turn of the processor instead of cutting the turn short of
/// what it measures whenever an answer comes, as a load on a machine of its own cannot
/// either. It gets no less of the processor for it. For all that is measured alike.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn interrupt_nobody() -> io::Result<()> {
    const THIS_PROCESS: libc::pid_t = 0;
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads the parameters behind the pointer and keeps nothing; no
    // other thread is there yet, and those to come are scheduled like this one.
    let failed =
        unsafe { libc::sched_setscheduler(THIS_PROCESS, libc::SCHED_BATCH, &raw const parameters) };
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(not(target_os = "linux"))]
fn interrupt_nobody() -> io::Result<()> {
    Ok(())
}
