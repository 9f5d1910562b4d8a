//! Proofs and credentials as they are stored: those that sources check, and those that
//! endpoints' requests carry. They hold secrets, so they are sealed.

use std::convert::Infallible;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::seal::{Place, Sealer};
use super::{StoreError, row};
use crate::domain::proof::HoldsSecrets;
use crate::domain::secret::Secret;

/// Writes proofs with their secrets' texts: the secrets themselves cannot be written by
/// accident.
pub(super) fn write<P>(
    proofs: &[P],
    place: Place<'_>,
    sealer: &Sealer,
) -> Result<String, StoreError>
where
    P: HoldsSecrets<Secret = Secret>,
    P::With<String>: Serialize,
{
    let exposed = |secret: &Secret| Ok::<_, Infallible>(secret.expose().to_owned());
    let column = |proof: &P| {
        let Ok(column) = proof.map(exposed);
        column
    };
    let columns: Vec<_> = proofs.iter().map(column).collect();
    row::sealed(&columns, place, sealer)
}

pub(super) fn read<P>(text: &str, place: Place<'_>, sealer: &Sealer) -> Result<Vec<P>, StoreError>
where
    P: HoldsSecrets<Secret = Secret> + DeserializeOwned,
{
    row::opened(text, place, sealer)
}
