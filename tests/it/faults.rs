//! What is acknowledged arrives, whatever breaks: the short form of `cargo xtask
//! faults`, which lets more happen and prints a table.

use xtask::faults::{self, Fault, Row};

use crate::binary;

/// Lets a fault happen so often. Whatever it is, nothing is lost.
fn strike(fault: Fault, rounds: u32) -> Row {
    let row = faults::strike(fault, binary::hookswitch(), rounds).expect("it goes on");
    println!("{row:?}");
    assert_eq!(row.lost(), 0, "{row:?}");
    row
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_and_what_comes_twice_has_the_same_id() {
    let row = strike(Fault::Kill, 3);
    // No more than what was on its way when the server died.
    assert!(row.duplicates <= 3 * 32, "{row:?}");
}

#[test]
fn nothing_is_lost_or_doubled_by_a_restart_amid_retries() {
    assert_eq!(strike(Fault::Restart, 2).duplicates, 0);
}

#[test]
fn nothing_is_lost_when_an_endpoint_goes_and_comes_back() {
    strike(Fault::Flaps, 1);
}

#[test]
fn nothing_is_lost_when_connections_are_reset() {
    strike(Fault::Resets, 1);
}

#[test]
fn nothing_acknowledged_is_lost_by_a_full_disk() {
    strike(Fault::DiskFull, 2);
}
