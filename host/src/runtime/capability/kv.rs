//! `kv`: the only thing that outlives a call.
//!
//! The store behind it is the caller's: `call` hands over something that
//! implements [`KeyValue`] for the one space the plugin may use.

use std::future::Future;
use std::pin::Pin;

use super::CallState;
use super::recorder::Import;
use crate::domain::kv::{Fault, Operation, Outcome};
use crate::domain::limits::CallLimits;
use crate::runtime::v1::hookswitch::plugin::kv::{Error, Host};

/// One space of the key-value store.
pub trait KeyValue: Send + Sync {
    /// Runs one operation; it is atomic and has taken effect when this returns.
    fn apply(
        &self,
        key: String,
        operation: Operation,
    ) -> Pin<Box<dyn Future<Output = Result<Outcome, Fault>> + Send + '_>>;
}

/// No space: every operation is denied.
#[derive(Debug, Clone, Copy)]
pub struct Denied;

impl KeyValue for Denied {
    fn apply(
        &self,
        _key: String,
        _operation: Operation,
    ) -> Pin<Box<dyn Future<Output = Result<Outcome, Fault>> + Send + '_>> {
        Box::pin(std::future::ready(Err(Fault::Denied)))
    }
}

/// What is left of a call's operations and bytes.
#[derive(Debug)]
pub(super) struct Allowance {
    operations: u32,
    bytes: u64,
}

impl Allowance {
    pub(super) fn new(limits: &CallLimits) -> Self {
        Self {
            operations: limits.kv_operations,
            bytes: limits.kv_bytes,
        }
    }

    fn take_operation(&mut self) -> Result<(), Fault> {
        self.operations = self.operations.checked_sub(1).ok_or(Fault::LimitExceeded)?;
        Ok(())
    }

    fn take_bytes(&mut self, bytes: usize) -> Result<(), Fault> {
        let left = self.bytes.checked_sub(bytes as u64);
        self.bytes = left.ok_or(Fault::LimitExceeded)?;
        Ok(())
    }
}

impl CallState {
    async fn kv(&mut self, key: String, operation: Operation) -> Result<Outcome, Error> {
        operation.check(&key)?;
        self.kv_allowance.take_operation()?;
        self.kv_allowance.take_bytes(key.len() + operation.size())?;
        let outcome = self.apply(key, operation).await?;
        if let Outcome::Value(Some(value)) = &outcome {
            self.kv_allowance.take_bytes(value.len())?;
        }
        Ok(outcome)
    }

    async fn apply(&mut self, key: String, operation: Operation) -> Result<Outcome, Fault> {
        if self.recorder.is_off() {
            return self.kv.apply(key, operation).await;
        }
        let question = (key.clone(), operation.clone());
        let live = self.kv.apply(key, operation);
        let answer = self.recorder.wait(Import::KeyValue, &question, live).await;
        // A replay that diverged has no store to ask.
        answer.unwrap_or(Err(Fault::Unavailable))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self {
            code: fault.code().to_owned(),
            message: fault.to_string(),
        }
    }
}

/// An outcome of another operation than the one that was asked for.
fn mismatched() -> Error {
    Fault::Unavailable.into()
}

impl Host for CallState {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, Error> {
        match self.kv(key, Operation::Get).await? {
            Outcome::Value(value) => Ok(value),
            _ => Err(mismatched()),
        }
    }

    async fn set(&mut self, key: String, value: Vec<u8>, ttl_ms: Option<u64>) -> Result<(), Error> {
        self.kv(key, Operation::Set { value, ttl_ms })
            .await
            .map(|_stored| ())
    }

    async fn delete(&mut self, key: String) -> Result<bool, Error> {
        match self.kv(key, Operation::Delete).await? {
            Outcome::Changed(changed) => Ok(changed),
            _ => Err(mismatched()),
        }
    }

    async fn increment(
        &mut self,
        key: String,
        delta: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, Error> {
        match self.kv(key, Operation::Increment { delta, ttl_ms }).await? {
            Outcome::Sum(sum) => Ok(sum),
            _ => Err(mismatched()),
        }
    }

    async fn compare_and_swap(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
        ttl_ms: Option<u64>,
    ) -> Result<bool, Error> {
        let swap = Operation::CompareAndSwap {
            expected,
            new,
            ttl_ms,
        };
        match self.kv(key, swap).await? {
            Outcome::Changed(changed) => Ok(changed),
            _ => Err(mismatched()),
        }
    }
}
