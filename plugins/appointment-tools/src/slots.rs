//! A day's opening hours, divided into slots.

use jiff::civil::Time;
use opening_hours::Interval;

/// When appointments of that length begin: one after the other from the start
/// of each interval, as long as they end inside it.
pub(crate) fn slots(intervals: &[Interval], slot_minutes: u16) -> Vec<Time> {
    let mut starts = Vec::new();
    for interval in intervals {
        let mut start = interval.from();
        while start + slot_minutes <= interval.to() {
            starts.extend(time_of(start));
            start += slot_minutes;
        }
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// Up to `count` of these times, those nearest to the wanted one, in order.
pub(crate) fn nearest(times: &[Time], wanted: Time, count: usize) -> Vec<Time> {
    let mut times = times.to_vec();
    times.sort_by_key(|time| minute_of(*time).abs_diff(minute_of(wanted)));
    times.truncate(count);
    times.sort_unstable();
    times
}

/// Minutes since midnight.
pub(crate) fn minute_of(time: Time) -> u16 {
    u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
}

fn time_of(minute: u16) -> Option<Time> {
    let (hour, minute) = (
        i8::try_from(minute / 60).ok()?,
        i8::try_from(minute % 60).ok()?,
    );
    Time::new(hour, minute, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arguments::hh_mm;

    fn starts(intervals: &[&str], slot_minutes: u16) -> Vec<String> {
        let intervals: Vec<Interval> = intervals.iter().map(|text| text.parse().unwrap()).collect();
        slots(&intervals, slot_minutes)
            .into_iter()
            .map(hh_mm)
            .collect()
    }

    #[test]
    fn a_slot_ends_inside_its_interval() {
        assert_eq!(starts(&["09:00-10:20"], 30), ["09:00", "09:30"]);
        assert_eq!(starts(&["09:00-09:20"], 30), Vec::<String>::new());
        assert_eq!(starts(&["23:00-24:00"], 30), ["23:00", "23:30"]);
    }

    #[test]
    fn slots_begin_anew_with_each_interval_and_overlaps_count_once() {
        assert_eq!(
            starts(&["13:15-14:15", "09:00-10:00"], 60),
            ["09:00", "13:15"]
        );
        assert_eq!(
            starts(&["09:00-10:00", "09:00-11:00"], 60),
            ["09:00", "10:00"]
        );
    }

    #[test]
    fn the_nearest_times_come_in_order() {
        let times = slots(&["09:00-17:00".parse().unwrap()], 60);
        let near: Vec<_> = nearest(&times, Time::constant(13, 0, 0, 0), 3)
            .into_iter()
            .map(hh_mm)
            .collect();
        assert_eq!(near, ["12:00", "13:00", "14:00"]);
    }

    proptest! {
        #[test]
        fn slots_of_an_interval_follow_each_other(from in 0_u16..1400, length in 1_u16..600, slot in 5_u16..480) {
            let to = (from + length).min(1440);
            let text = format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60);
            let starts = slots(&[text.parse().unwrap()], slot);
            prop_assert_eq!(starts.len(), usize::from((to - from) / slot));
            for pair in starts.windows(2) {
                prop_assert_eq!(minute_of(pair[1]) - minute_of(pair[0]), slot);
            }
        }
    }
}
