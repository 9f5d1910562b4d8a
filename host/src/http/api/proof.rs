//! Proofs of origin in requests: what a source checks, and what an endpoint's requests
//! carry. They have the same form, so that one can be set up to please the other.

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::secret::Secret;
use crate::domain::source::Proof;
use crate::http::problem::Problem;
use crate::json;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct ProofBody(#[serde(deserialize_with = "proof_form")] ProofForm);

fn proof_form<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ProofForm, D::Error> {
    json::tagged(deserializer, "type")
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(tag = "type")]
enum ProofForm {
    Header {
        name: String,
        values: Vec<Secret>,
    },
    Hmac {
        header: String,
        secrets: Vec<Secret>,
    },
}

/// A proof without its secrets.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ShownProof {
    Header { name: String },
    Hmac { header: String },
}

impl From<&Proof> for ShownProof {
    fn from(proof: &Proof) -> Self {
        match proof {
            Proof::Header { name, .. } => Self::Header { name: name.clone() },
            Proof::Hmac { header, .. } => Self::Hmac {
                header: header.clone(),
            },
        }
    }
}

const MAX_PROOFS: usize = 8;

/// Reads proofs with up to so many secrets each.
pub(super) fn read(bodies: Vec<ProofBody>, most: usize) -> Result<Vec<Proof>, Problem> {
    if bodies.len() > MAX_PROOFS {
        return Err(Problem::invalid_field(
            "proof",
            format!("at most {MAX_PROOFS} proofs"),
        ));
    }
    bodies
        .into_iter()
        .enumerate()
        .map(|(at, ProofBody(form))| match form {
            ProofForm::Header { name, values } => {
                count(&values, most, format!("proof[{at}].values"))?;
                for (value_at, value) in values.iter().enumerate() {
                    header_value(value, format!("proof[{at}].values[{value_at}]"))?;
                }
                Ok(Proof::Header {
                    name: header_name(&name, format!("proof[{at}].name"))?,
                    values,
                })
            }
            ProofForm::Hmac { header, secrets } => {
                count(&secrets, most, format!("proof[{at}].secrets"))?;
                let header = header_name(&header, format!("proof[{at}].header"))?;
                Ok(Proof::Hmac { header, secrets })
            }
        })
        .collect()
}

fn count(secrets: &[Secret], most: usize, field: String) -> Result<(), Problem> {
    if (1..=most).contains(&secrets.len()) {
        return Ok(());
    }
    Err(Problem::invalid_field(
        field,
        format!("must have 1 to {most} items"),
    ))
}

/// A value that no request can carry would refuse them all.
fn header_value(value: &Secret, field: String) -> Result<(), Problem> {
    let text = value.expose();
    if HeaderValue::from_bytes(text.as_bytes()).is_ok() && text.trim() == text {
        return Ok(());
    }
    Err(Problem::invalid_field(
        field,
        "must be what a header can carry: no line breaks or control characters, no spaces at either end",
    ))
}

fn header_name(text: &str, field: String) -> Result<String, Problem> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| Problem::invalid_field(field, "must be the name of an HTTP header"))?;
    Ok(name.as_str().to_owned())
}
