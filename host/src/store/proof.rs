//! Proofs of origin as they are stored: those that sources check, and those that
//! endpoints' requests carry. They hold secrets, so they are sealed.

use serde::{Deserialize, Serialize};

use super::seal::{Place, Sealer};
use super::{StoreError, row};
use crate::domain::secret::Secret;
use crate::domain::source::Proof;

/// Apart from [`Proof`], because that one is never to be serialized by accident: it
/// holds secrets.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ProofColumn {
    Header {
        name: String,
        values: Vec<String>,
    },
    Hmac {
        header: String,
        secrets: Vec<String>,
    },
}

pub(super) fn write(
    proofs: &[Proof],
    place: Place<'_>,
    sealer: &Sealer,
) -> Result<String, StoreError> {
    let columns: Vec<ProofColumn> = proofs.iter().map(ProofColumn::from).collect();
    row::sealed(&columns, place, sealer)
}

pub(super) fn read(
    text: &str,
    place: Place<'_>,
    sealer: &Sealer,
) -> Result<Vec<Proof>, StoreError> {
    let columns: Vec<ProofColumn> = row::opened(text, place, sealer)?;
    columns.into_iter().map(Proof::try_from).collect()
}

impl From<&Proof> for ProofColumn {
    fn from(proof: &Proof) -> Self {
        let exposed = |secrets: &[Secret]| {
            secrets
                .iter()
                .map(|secret| secret.expose().to_owned())
                .collect()
        };
        match proof {
            Proof::Header { name, values } => Self::Header {
                name: name.clone(),
                values: exposed(values),
            },
            Proof::Hmac { header, secrets } => Self::Hmac {
                header: header.clone(),
                secrets: exposed(secrets),
            },
        }
    }
}

impl TryFrom<ProofColumn> for Proof {
    type Error = StoreError;
    fn try_from(column: ProofColumn) -> Result<Self, StoreError> {
        let secrets = |texts: Vec<String>| {
            texts
                .into_iter()
                .map(|text| Secret::try_from(text).map_err(|e| StoreError::corrupt("proof", e)))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match column {
            ProofColumn::Header { name, values } => Self::Header {
                name,
                values: secrets(values)?,
            },
            ProofColumn::Hmac {
                header,
                secrets: texts,
            } => Self::Hmac {
                header,
                secrets: secrets(texts)?,
            },
        })
    }
}
