use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::domain::event::Kind;
use crate::domain::id::EventId;
use crate::domain::timeline::{About, Wanted, What};

const ONE: u128 = 1;
const OTHER: u128 = 2;

fn organization(number: u128) -> OrganizationId {
    Uuid::from_u128(number).into()
}

fn event(number: u128) -> Entry {
    Entry {
        at: Timestamp::UNIX_EPOCH,
        about: Arc::new(About {
            event: Uuid::from_u128(number).into(),
            source: None,
            kind: Kind::START,
            call_id: format!("call_{number}"),
            agent_id: String::new(),
            tool: None,
        }),
        what: What::Event {
            platform_type: String::new(),
        },
    }
}

fn feed(live: &Arc<Live>, number: u128, wanted: Wanted) -> Feed {
    let listening = live.listen(organization(number)).unwrap();
    Feed::new(listening, wanted, EventId::from(Uuid::nil()))
}

fn tell(live: &Live, number: u128, events: impl IntoIterator<Item = u128>) {
    if let Some(audience) = live.audience(organization(number)) {
        audience.tell(events.into_iter().map(event));
    }
}

/// The number of the event that is heard of next, or of the entries that are missing.
async fn next(feed: &mut Feed) -> Result<u128, Option<u64>> {
    match feed.next().await {
        Some(Heard::Entry(entry)) => Ok(entry.about.event.uuid().as_u128()),
        Some(Heard::Gap(missed)) => Err(missed),
        None => panic!("it has ended"),
    }
}

#[tokio::test]
async fn each_organization_hears_its_own_only() {
    let live = Arc::default();
    let mut one = feed(&live, ONE, Wanted::default());
    let mut other = feed(&live, OTHER, Wanted::default());
    tell(&live, ONE, [10, 11]);
    tell(&live, OTHER, [20]);
    tell(&live, ONE, [12]);
    tell(&live, OTHER, [21]);
    for expected in [10, 11, 12] {
        assert_eq!(next(&mut one).await, Ok(expected));
    }
    for expected in [20, 21] {
        assert_eq!(next(&mut other).await, Ok(expected));
    }
}

#[tokio::test]
async fn who_is_too_slow_is_told_how_much_it_missed_and_the_others_miss_nothing() {
    let live = Arc::default();
    let mut slow = feed(&live, ONE, Wanted::default());
    let mut quick = feed(&live, ONE, Wanted::default());
    let last = BEHIND as u128 + 100;
    for number in 1..=last {
        tell(&live, ONE, [number]);
        assert_eq!(next(&mut quick).await, Ok(number));
    }
    assert_eq!(next(&mut slow).await, Err(Some(100)));
    for expected in 101..=last {
        assert_eq!(next(&mut slow).await, Ok(expected));
    }
}

#[tokio::test]
async fn what_was_missed_comes_first_and_nothing_comes_twice() {
    let live = Arc::default();
    let mut feed = feed(&live, ONE, Wanted::default());
    // Told after the listening began, and read from the store as well.
    tell(&live, ONE, [3, 4]);
    feed.catch_up([1, 2, 3].map(event).into(), true);
    tell(&live, ONE, [5]);
    for expected in [1, 2, 3, 4, 5] {
        assert_eq!(next(&mut feed).await, Ok(expected));
    }
    assert_eq!(feed.newest().uuid().as_u128(), 5);
}

#[tokio::test]
async fn it_is_said_that_not_all_that_was_missed_is_there() {
    let live = Arc::default();
    let mut feed = feed(&live, ONE, Wanted::default());
    feed.catch_up(vec![event(7)], false);
    assert_eq!(next(&mut feed).await, Err(None));
    assert_eq!(next(&mut feed).await, Ok(7));
}

#[tokio::test]
async fn what_is_not_wanted_is_not_heard_but_counts_for_where_to_go_on() {
    let live = Arc::default();
    let wanted = Wanted {
        call: Some("call_2".to_owned()),
        ..Wanted::default()
    };
    let mut feed = feed(&live, ONE, wanted);
    feed.catch_up(vec![event(1)], true);
    tell(&live, ONE, [4, 2]);
    assert_eq!(next(&mut feed).await, Ok(2));
    assert_eq!(feed.newest().uuid().as_u128(), 4);
}

#[test]
fn where_nobody_listens_there_is_nobody_to_tell() {
    let live: Arc<Live> = Arc::default();
    assert!(live.audience(organization(ONE)).is_none());
    let listening = live.listen(organization(ONE)).unwrap();
    assert!(live.audience(organization(ONE)).is_some());
    assert!(live.audience(organization(OTHER)).is_none());
    drop(listening);
    assert!(live.audience(organization(ONE)).is_none());
    assert!(live.read().channels.is_empty());
}

#[test]
fn an_organization_has_so_many_listeners_and_a_server_so_many() {
    let live: Arc<Live> = Arc::default();
    let listen = |number| live.listen(organization(number));
    let mut listening = Vec::new();
    let organizations = Live::PER_SERVER / Live::PER_ORGANIZATION;
    for number in 0..organizations as u128 {
        for _ in 0..Live::PER_ORGANIZATION {
            listening.push(listen(number).unwrap());
        }
        if number == 0 {
            assert_eq!(listen(0).unwrap_err(), Refused::Organization);
        }
    }
    assert_eq!(listen(1_000).unwrap_err(), Refused::Server);
    listening.remove(0);
    assert_eq!(listen(1).unwrap_err(), Refused::Organization);
    listening.push(listen(0).unwrap());
    assert_eq!(listen(1_000).unwrap_err(), Refused::Server);
}

#[tokio::test]
async fn closing_ends_what_listens_and_lets_nobody_in() {
    let live: Arc<Live> = Arc::default();
    let mut feed = feed(&live, ONE, Wanted::default());
    tell(&live, ONE, [1]);
    live.close();
    tell(&live, ONE, [2]);
    assert_eq!(next(&mut feed).await, Ok(1));
    assert_eq!(feed.next().await, None);
    assert_eq!(
        live.listen(organization(ONE)).unwrap_err(),
        Refused::Stopping
    );
}
