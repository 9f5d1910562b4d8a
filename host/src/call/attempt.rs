//! An attempt as it is kept.

use crate::dispatch::Attempt;
use crate::domain::delivery::Heard;
use crate::store::journal::AttemptRecord;

/// So much of a reply's body is kept, in bytes.
pub const KEPT_REPLY: usize = 16 << 10;

impl From<Attempt> for AttemptRecord {
    fn from(attempt: Attempt) -> Self {
        let (status, error) = match attempt.heard {
            Heard::Reply { status, .. } => (Some(status), None),
            Heard::Nothing(failure) => (None, Some(failure)),
        };
        let response = attempt.reply.and_then(|reply| reply.text(KEPT_REPLY));
        Self {
            started_at: attempt.started_at,
            elapsed: attempt.elapsed,
            status,
            error,
            detail: attempt.detail,
            response,
        }
    }
}
