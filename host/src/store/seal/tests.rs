use std::borrow::Cow;
use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use sqlx::Connection as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnection;

use super::folder::KeyFolder;
use super::values::{ENDPOINT_SIGNING, SECRET_VALUE, SOURCE_PROOF};
use super::*;
use crate::domain::endpoint::{Signing, SigningSecret};
use crate::domain::id::{EndpointId, OrganizationId, SourceId};
use crate::domain::proof::{Credential, Proof, SharedHeader};
use crate::domain::secret::Secret;
use crate::store::{
    By, Creation, DATABASE, Durability, NewEndpoint, OpenStore, Store, TokenHash, connect,
    make_folder,
};

const PLACE: Place<'static> = Place {
    column: &SOURCE_PROOF,
    organization: Uuid::from_u128(1),
    row: b"row",
};

proptest! {
    #[test]
    fn a_sealed_text_opens_in_its_place_and_nowhere_else(
        plain in any::<String>(),
        row in proptest::collection::vec(any::<u8>(), 0..20),
        other in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let keys = Keyring::random();
        let place = Place { row: &row, ..PLACE };
        let sealed = keys.seal(place, &plain).unwrap();
        prop_assert_eq!(&*keys.open(place, &sealed).unwrap(), &plain);
        prop_assert!(keys.rotated().open(place, &sealed).is_ok());
        let elsewhere = [
            Place { row: &other, ..place },
            Place { column: &ENDPOINT_SIGNING, ..place },
            Place { organization: Uuid::from_u128(2), ..place },
        ];
        for elsewhere in elsewhere {
            let same = elsewhere.bytes() == place.bytes();
            prop_assert_eq!(keys.open(elsewhere, &sealed).is_ok(), same);
        }
        prop_assert!(Keyring::random().open(place, &sealed).is_err());
    }

    #[test]
    fn a_sealed_text_with_a_changed_byte_does_not_open(
        plain in ".{0,40}",
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let keys = Keyring::random();
        let sealed = keys.seal(PLACE, &plain).unwrap();
        let (head, body) = sealed.split_at(PREFIX_LEN);
        let mut bytes = STANDARD.decode(body).unwrap();
        let shorter = &bytes[..cut.index(bytes.len())];
        let shorter = format!("{head}{}", STANDARD.encode(shorter));
        prop_assert!(keys.open(PLACE, &shorter).is_err());
        bytes[at.index(body.len() / 4 * 3 - 2)] ^= 1 << bit;
        let flipped = format!("{head}{}", STANDARD.encode(&bytes));
        prop_assert!(keys.open(PLACE, &flipped).is_err());

        let mut text = sealed.clone().into_bytes();
        text[at.index(sealed.len())] ^= 1;
        if let Ok(text) = String::from_utf8(text) {
            prop_assert!(keys.open(PLACE, &text).is_err());
        }
    }
}

#[test]
fn the_same_text_is_sealed_differently_each_time() {
    let keys = Keyring::random();
    let sealed = [(); 2].map(|()| keys.seal(PLACE, "hunter2").unwrap());
    assert_ne!(sealed[0], sealed[1]);
    assert!(sealed[0].starts_with(&prefix(keys.current.id)));
}

const KNOWN_ID: &str = "6167799d";
const KNOWN_BODY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX9rdhC/Wgvx1a0kRzeOeHIygAFqo0HnA=";

/// The body is of libsodium, by Python's PyNaCl.
#[test]
fn another_implementation_seals_the_same_way() {
    let keys: Keyring = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
        .parse()
        .unwrap();
    assert_eq!(keys.current.id.to_string(), KNOWN_ID);
    let sealed = format!("v1.{KNOWN_ID}.{KNOWN_BODY}");
    assert_eq!(&*keys.open(PLACE, &sealed).unwrap(), "hunter2");
}

#[test]
fn keys_read_back_what_they_write_and_show_themselves_to_nobody_else() {
    let keys = Keyring::random().rotated();
    let text = keys.text();
    assert_eq!(text.parse::<Keyring>().unwrap(), keys);
    let on_one_line = text.trim().replace('\n', ", ");
    assert_eq!(on_one_line.parse::<Keyring>().unwrap(), keys);
    let shown = format!(
        "{keys:?} {:?}",
        KeySource::Environment(Arc::new(keys.clone()))
    );
    assert!(keys.keys().all(|key| !shown.contains(&**key.text())));
    assert!(shown.contains(&keys.current.id.to_string()), "{shown}");
}

#[test]
fn what_is_no_list_of_keys_is_refused_and_not_shown() {
    let key = new_key();
    let many: Vec<_> = (0..=Keyring::MOST).map(|_| new_key().to_string()).collect();
    for (text, wanted) in [
        (String::new(), InvalidKeys::None),
        (" \n,".to_owned(), InvalidKeys::None),
        (format!("{} AAAA", *key), InvalidKeys::NoKey(2)),
        ("not-base64!".to_owned(), InvalidKeys::NoKey(1)),
        (many.join("\n"), InvalidKeys::TooMany),
    ] {
        assert_eq!(text.parse::<Keyring>(), Err(wanted), "{text:?}");
    }
    let twice = format!("{0}\n{0}", *key).parse::<Keyring>().unwrap_err();
    assert!(matches!(twice, InvalidKeys::Twice(_)));
    assert!(!twice.to_string().contains(&**key));
}

/// A database as it was before there were keys.
async fn before_keys(folder: &Path) -> SqliteConnection {
    make_folder(folder).unwrap();
    let mut connection = connect(&folder.join(DATABASE)).await.unwrap();
    let all = sqlx::migrate!("migrations/sqlite");
    let old = all.iter().filter(|migration| migration.version < 6);
    let old = Migrator {
        migrations: Cow::Owned(old.cloned().collect()),
        ..Migrator::DEFAULT
    };
    old.run(&mut connection).await.unwrap();
    connection
}

const ORGANIZATION: Uuid = Uuid::from_u128(10);
const ROW: Uuid = Uuid::from_u128(11);
const SIGNING: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
const PROOF: &str = r#"[{"type":"header","name":"x-key","values":["clear-proof"]}]"#;

/// Rows with secrets as they were written then, and the remains of some that are gone.
async fn fill(connection: &mut SqliteConnection) {
    let statements = [
        "INSERT INTO organization (id, name, created_at) VALUES (?1, 'default', 0)",
        "INSERT INTO secret (organization_id, name, value, updated_at) \
         VALUES (?1, 'plain', 'clear-secret', 0), (?1, 'sealed-looking', 'v1.00000000.AAAA', 0)",
        // Of so many, some are in pages that nothing is written to afterwards.
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500) \
         INSERT INTO secret (organization_id, name, value, updated_at) \
         SELECT ?1, 'gone-' || n, 'clear-but-deleted', 0 FROM n",
        "DELETE FROM secret WHERE name LIKE 'gone-%'",
        "INSERT INTO source (id, organization_id, name, dialect, proof, patience, verdicts, \
         created_at) VALUES (?2, ?1, 'main', 'dasha', ?3, \
         '{\"start_ms\":1,\"transfer_ms\":1,\"tool_ms\":1,\"margin_ms\":1}', '{}', 0)",
        "INSERT INTO endpoint (id, organization_id, name, settings, proof, signing, created_at, \
         updated_at) VALUES (?2, ?1, 'crm', '{\"url\":\"https://crm.example/\"}', ?3, \
         '{\"current\":\"' || ?4 || '\",\"previous\":null}', 0, 0)",
    ];
    for statement in statements {
        sqlx::query(statement)
            .bind(ORGANIZATION)
            .bind(ROW)
            .bind(PROOF)
            .bind(SIGNING)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
}

fn assert_nothing_in_clear(folder: &Path) {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_nothing_in_clear(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for secret in ["clear-secret", "clear-but-deleted", "clear-proof", SIGNING] {
            let there = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!there, "{secret} stands in {}", path.display());
        }
        seen += bytes.len();
    }
    assert!(seen > 0 || folder.ends_with("redo"), "there are no files");
}

async fn open(folder: &Path) -> Result<OpenStore, OpenError> {
    OpenStore::open(folder, Durability::Process, &KeySource::DataFolder).await
}

/// What the rows of [`fill`] say.
async fn assert_readable(store: &Store) {
    let organization = OrganizationId::from(ORGANIZATION);
    let values = store.secret_values(organization).await.unwrap();
    assert_eq!(values[&"plain".parse().unwrap()].expose(), "clear-secret");
    let looks = &values[&"sealed-looking".parse().unwrap()];
    assert_eq!(looks.expose(), "v1.00000000.AAAA");
    let source = store.source(organization, SourceId::from(ROW)).await;
    let header = SharedHeader {
        name: "x-key".to_owned().try_into().unwrap(),
        values: vec![Secret::try_from("clear-proof".to_owned()).unwrap()],
    };
    assert_eq!(source.unwrap().proof, [Proof::Header(header.clone())]);
    let endpoint = store.endpoint(organization, EndpointId::from(ROW)).await;
    let endpoint = endpoint.unwrap();
    assert_eq!(endpoint.proof, [Credential::Header(header)]);
    assert_eq!(endpoint.signing.current.expose(), SIGNING);
}

#[tokio::test]
async fn what_stood_in_clear_is_sealed_at_the_first_start_with_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = before_keys(folder.path()).await;
    fill(&mut connection).await;
    connection.close().await.unwrap();

    let store = open(folder.path()).await.unwrap();
    assert_nothing_in_clear(folder.path());
    assert_readable(&store.store).await;
    store.close().await;
    assert_nothing_in_clear(folder.path());

    let store = open(folder.path()).await.unwrap();
    assert_readable(&store.store).await;
}

#[tokio::test]
async fn sealing_that_is_cut_off_goes_on_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = before_keys(folder.path()).await;
    fill(&mut connection).await;
    crate::store::migrate(&mut connection).await.unwrap();
    let keys = Keyring::random();
    let source = KeySource::DataFolder;
    let file = source.file(folder.path()).unwrap();
    file.create(&keys).unwrap();
    // The first column's values, as if the process had died after them.
    let progress = values::reseal_some(&mut connection, &keys, values::Progress::default());
    assert_eq!(progress.await.unwrap().done.values, 2);
    connection.close().await.unwrap();

    let store = open(folder.path()).await.unwrap();
    assert_readable(&store.store).await;
    assert_nothing_in_clear(folder.path());
}

/// A store with more secrets than are sealed in one transaction.
async fn with_secrets(folder: &Path, secrets: usize) -> OpenStore {
    let open = open(folder).await.unwrap();
    let now = Timestamp::now();
    let organization = OrganizationId::from(ORGANIZATION);
    let token = TokenHash::of("token");
    let added = open
        .store
        .add_operator(token, "test", None, organization, now);
    added.await.unwrap();
    for number in 0..secrets {
        let name = format!("secret-{number}").parse().unwrap();
        let value = Secret::try_from(format!("value-{number}")).unwrap();
        let by = By::of_host(organization, now);
        let put = open.store.put_secret(organization, name, value, by);
        put.await.unwrap();
    }
    let signing = Signing {
        current: SigningSecret::new([7; 32]),
        previous: None,
    };
    let endpoint = NewEndpoint {
        id: EndpointId::from(ROW),
        organization,
        name: "crm".parse().unwrap(),
        settings: serde_json::from_str(r#"{"url":"https://crm.example/"}"#).unwrap(),
        proof: Vec::new(),
        signing,
        enabled: true,
        created_at: now,
    };
    let creation = Creation::of_host(organization, now);
    let created = open.store.create_endpoint(endpoint, creation);
    created.await.unwrap();
    open
}

async fn assert_secrets(store: &Store, secrets: usize) {
    let organization = OrganizationId::from(ORGANIZATION);
    let values = store.secret_values(organization).await.unwrap();
    assert_eq!(values.len(), secrets);
    for (name, value) in values {
        assert_eq!(name.as_str().replace("secret", "value"), value.expose());
    }
    let endpoint = store.endpoint(organization, EndpointId::from(ROW)).await;
    let current = endpoint.unwrap().signing.current;
    assert_eq!(current, SigningSecret::new([7; 32]));
}

#[tokio::test]
async fn rotation_seals_everything_with_the_new_key_and_the_old_one_can_go() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    with_secrets(folder, 250).await.close().await;
    let keys = KeyFolder::new(folder, KeySource::DataFolder).unwrap();
    let rotated = keys.rotate().await.unwrap();
    let resealed = Resealed {
        values: 252,
        broken: 0,
    };
    assert_eq!(rotated.resealed, Some(resealed));
    let listed = keys.list().await.unwrap();
    assert_eq!(listed.keys, [rotated.new, rotated.old]);
    assert!(listed.uses.iter().all(|used| used.key == Some(rotated.new)));
    let store = open(folder).await.unwrap();
    assert_secrets(&store.store, 250).await;
    // The server could still seal with it.
    assert!(matches!(keys.retire().await, Err(OpenError::InUse { .. })));
    store.close().await;
    assert_eq!(keys.retire().await.unwrap().gone, [rotated.old]);
    assert_eq!(keys.retire().await.unwrap().gone, []);
    let store = open(folder).await.unwrap();
    assert_secrets(&store.store, 250).await;
}

#[tokio::test]
async fn rotation_that_is_cut_off_before_or_in_sealing_loses_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    with_secrets(folder, 250).await.close().await;
    for transactions in 0..4 {
        let file = KeySource::DataFolder.file(folder).unwrap();
        let keys = file.read().unwrap().rotated();
        file.replace(&keys).unwrap();
        let mut connection = connect(&folder.join(DATABASE)).await.unwrap();
        let mut progress = values::Progress::default();
        for _ in 0..transactions {
            let some = values::reseal_some(&mut connection, &keys, progress);
            progress = some.await.unwrap();
        }
        connection.close().await.unwrap();

        let store = open(folder).await.unwrap();
        assert_secrets(&store.store, 250).await;
        store.close().await;
        let keys = KeyFolder::new(folder, KeySource::DataFolder).unwrap();
        let listed = keys.list().await.unwrap();
        let current = Some(listed.keys[0]);
        assert!(listed.uses.iter().all(|used| used.key == current));
    }
}

/// The secrets as they are stored.
async fn stored(folder: &Path) -> Vec<(String, String)> {
    let mut connection = connect(&folder.join(DATABASE)).await.unwrap();
    let stored = sqlx::query_as("SELECT name, value FROM secret ORDER BY name");
    stored.fetch_all(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_key_that_is_lacking_is_named_and_nothing_is_changed() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    with_secrets(folder, 3).await.close().await;
    let file = KeySource::DataFolder.file(folder).unwrap();
    let right = file.read().unwrap();
    let sealed = stored(folder).await;

    std::fs::rename(&file.path, folder.join("aside")).unwrap();
    let lost = open(folder).await.unwrap_err().to_string();
    assert!(lost.contains(&right.current.id.to_string()), "{lost}");
    assert!(!file.path.exists(), "a new key was made");

    file.create(&Keyring::random()).unwrap();
    let missing = open(folder).await.unwrap_err().to_string();
    assert!(missing.contains(&right.current.id.to_string()), "{missing}");
    let keys = KeyFolder::new(folder, KeySource::DataFolder).unwrap();
    let wrong = file.read().unwrap();
    assert!(keys.rotate().await.is_err() && keys.retire().await.is_err());
    assert_eq!(file.read().unwrap(), wrong);
    assert_eq!(stored(folder).await, sealed);

    std::fs::rename(folder.join("aside"), &file.path).unwrap();
    assert_secrets(&open(folder).await.unwrap().store, 3).await;
}

#[tokio::test]
async fn a_value_that_was_moved_or_changed_does_not_open_and_keeps_its_key() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    with_secrets(folder, 3).await.close().await;
    let mut connection = connect(&folder.join(DATABASE)).await.unwrap();
    let moved = "UPDATE secret SET value = (SELECT value FROM secret WHERE name = 'secret-0') \
         WHERE name = 'secret-1'";
    sqlx::query(moved).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();

    let store = open(folder).await.unwrap();
    let values = store
        .store
        .secret_values(OrganizationId::from(ORGANIZATION));
    let problem = values.await.unwrap_err().to_string();
    assert!(problem.contains(SECRET_VALUE.name), "{problem}");
    store.close().await;
    let keys = KeyFolder::new(folder, KeySource::DataFolder).unwrap();
    let rotated = keys.rotate().await.unwrap();
    let (values, broken) = (4, 1);
    assert_eq!(rotated.resealed, Some(Resealed { values, broken }));
    let retired = keys.retire().await.unwrap();
    assert_eq!(retired.needed, [rotated.old]);
}

#[test]
fn a_file_of_keys_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = KeySource::DataFolder.file(folder.path()).unwrap();
    file.create(&Keyring::random()).unwrap();
    let mode = std::fs::metadata(&file.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(
            matches!(file.read(), Err(KeyError::Open { .. })),
            "{mode:o}"
        );
    }
}

#[test]
fn keys_behind_a_link_are_replaced_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real");
    KeySource::File(real.clone())
        .file(folder.path())
        .unwrap()
        .create(&Keyring::random())
        .unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let file = KeySource::File(link.clone()).file(folder.path()).unwrap();
    let keys = file.read().unwrap().rotated();
    file.replace(&keys).unwrap();
    assert!(link.is_symlink());
    let real = KeySource::File(real).file(folder.path()).unwrap();
    assert_eq!(real.read().unwrap(), keys);
}

#[tokio::test]
async fn a_server_that_runs_takes_a_new_key_and_keeps_the_old_ones_if_it_cannot() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let open = with_secrets(folder, 250).await;
    let keys = KeyFolder::new(folder, KeySource::DataFolder).unwrap();
    let rotated = keys.rotate().await.unwrap();
    assert_eq!(rotated.resealed, None);
    let (store, source) = (&open.store, KeySource::DataFolder);
    store.reload_keys(folder, &source).await.unwrap();
    assert_secrets(store, 250).await;
    let listed = keys.list().await.unwrap();
    assert!(listed.uses.iter().all(|used| used.key == Some(rotated.new)));

    let file = source.file(folder).unwrap();
    let right = file.read().unwrap();
    let dropped = |error| matches!(error, Err(OpenError::Keys(KeyError::Dropped(_))));
    file.replace(&Keyring::random()).unwrap();
    assert!(dropped(store.reload_keys(folder, &source).await));
    assert_secrets(store, 250).await;
    file.replace(&right).unwrap();
    store.reload_keys(folder, &source).await.unwrap();
}
