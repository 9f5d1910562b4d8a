//! The hostile corpus: every attack ends as it has to, and ends alone.
//!
//! The attacks are in `tests/hostile/` and `xtask/src/hostile/`; `cargo xtask hostile`
//! strikes harder and measures what a neighbour feels.

use std::time::{Duration, Instant};

use xtask::hostile::{self, Attack, Expected, Outcome, Target};

use crate::client::assert_none_wrong;
use crate::server::{Launch, Server};

/// Bounds what would not end at all; nothing here takes a tenth of it on a quiet machine.
const ENDED_AT_ALL: Duration = Duration::from_mins(2);

/// A server that may be attacked.
fn under_attack() -> (Server, Target) {
    let launch = Launch::new();
    let file = launch.directory().join("hookswitch.toml");
    std::fs::write(&file, hostile::CONFIGURATION).expect("a configuration");
    let server = launch.argument("--config").argument(file).start();
    let url = format!("http://{}", server.address);
    let data = server.directory().join("data");
    let target = Target::new(&url, &server.token, &data).expect("the good plugin is taken");
    (server, target)
}

/// Strikes once, and says what is wrong with how it ended.
fn wrong_end(target: &Target, attack: &Attack) -> Option<String> {
    let begun = Instant::now();
    let struck = target.arm(attack, 1).and_then(|armed| {
        let outcome = armed.strike(0)?;
        armed.disarm()?;
        target.check_good_plugin()?;
        Ok(outcome)
    });
    let problem = match struck {
        Err(error) => Some(format!("{error:#}")),
        Ok(outcome) => attack.expected.difference(&outcome),
    };
    let ended = begun.elapsed();
    let problem = problem.or_else(|| {
        (ended > ENDED_AT_ALL).then(|| format!("it took {ended:?} until all was well again"))
    });
    Some(format!("{}: {}", attack.name, problem?))
}

/// Strikes with the attacks that are to be tried, one after the other.
fn strike_with(wanted: impl Fn(&Attack) -> bool) {
    let (server, target) = under_attack();
    let attacks = target.attacks().expect("the attacks");
    let chosen: Vec<_> = attacks.iter().filter(|attack| wanted(attack)).collect();
    assert!(!chosen.is_empty());
    let wrong: Vec<String> = chosen
        .iter()
        .filter_map(|attack| wrong_end(&target, attack))
        .collect();
    assert_none_wrong(&wrong);
    assert_eq!(target.trespasses(), 0, "a request got past the host");
    // Ends with an error if it has panicked or been killed by then.
    server.stop();
}

fn is_bomb(attack: &Attack) -> bool {
    attack.name.starts_with("bomb-")
}

#[test]
fn what_cannot_be_a_plugin_is_refused() {
    strike_with(|attack| matches!(attack.expected, Expected::Refused(_)) && !is_bomb(attack));
}

#[test]
fn a_bomb_for_the_compiler_costs_its_uploader_an_error() {
    strike_with(is_bomb);
}

#[test]
fn what_misbehaves_in_a_call_ends_with_its_own_code() {
    strike_with(|attack| matches!(attack.expected, Expected::Failed(_)));
}

#[test]
fn what_a_guest_may_not_do_is_a_normal_error_in_it() {
    strike_with(|attack| matches!(attack.expected, Expected::Answered));
}

#[test]
fn there_is_no_way_out_but_the_granted_one() {
    strike_with(|attack| matches!(attack.expected, Expected::Told(_)));
}

#[test]
fn memory_is_summed_and_never_above_its_limit() {
    const LIMIT: u64 = 64 << 20;
    let (_server, target) = under_attack();
    let attacks = target.attacks().expect("the attacks");
    for name in ["memory-grow", "many-memories"] {
        let attack = attacks.iter().find(|attack| attack.name == name);
        let armed = target
            .arm(attack.expect("the attack"), 1)
            .expect("it is bound");
        let outcome = armed.strike(0).expect("it is called");
        let Outcome::Failed { memory_bytes, .. } = outcome else {
            panic!("{name}: {outcome:?}")
        };
        // Nearly all of it was had, or the attack has tried nothing.
        assert!(
            (LIMIT / 2..=LIMIT).contains(&memory_bytes),
            "{name}: {memory_bytes}"
        );
    }
}

#[test]
fn many_at_a_time_end_as_one_does() {
    let (server, target) = under_attack();
    let attacks = target.attacks().expect("the attacks");
    for name in ["recursion", "memory-grow", "bad-pointer", "pollable-flood"] {
        let attack = attacks.iter().find(|attack| attack.name == name);
        let attack = attack.expect("the attack");
        let armed = target.arm(attack, 8).expect("it is bound");
        let strike = |binding| armed.strike(binding).expect("it is called");
        let strike = &strike;
        let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|binding| scope.spawn(move || strike(binding)))
                .collect();
            let joined = threads
                .into_iter()
                .map(|thread| thread.join().expect("a strike"));
            joined.collect()
        });
        for outcome in outcomes {
            assert_eq!(attack.expected.difference(&outcome), None, "{name}");
        }
        target.check_good_plugin().expect("the server is up");
    }
    server.stop();
}

#[test]
fn every_file_of_an_attack_is_tried() {
    let (_server, target) = under_attack();
    let tried: Vec<String> = target
        .attacks()
        .expect("the attacks")
        .iter()
        .filter_map(Attack::file)
        .collect();
    let files = hostile::files().expect("the folder");
    assert!(files.len() > 30, "only {} files", files.len());
    let forgotten: Vec<_> = files.iter().filter(|file| !tried.contains(file)).collect();
    assert!(forgotten.is_empty(), "no attack is made of {forgotten:?}");
}
