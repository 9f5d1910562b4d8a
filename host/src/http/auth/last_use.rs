//! When tokens were last used: noted here, and written now and then, because a read of
//! the API is not worth a write each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::domain::id::TokenId;

/// Uses that are not written yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LastUse(Arc<Mutex<HashMap<TokenId, Timestamp>>>);

impl LastUse {
    pub(super) fn note(&self, token: TokenId, at: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.insert(token, at);
    }

    /// What was noted since the last time.
    pub fn take(&self) -> Vec<(TokenId, Timestamp)> {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.drain().collect()
    }
}
