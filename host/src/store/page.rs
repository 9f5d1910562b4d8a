//! Lists in pages: newest first, continued by a cursor.

use uuid::Uuid;

use super::StoreError;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageRequest {
    pub limit: u16,
    /// The last item of the page before.
    pub after: Option<Uuid>,
}

impl PageRequest {
    /// One more than wanted, to know whether there is more.
    pub(super) fn fetch(self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Uuid>,
}

impl<T> Page<T> {
    /// Makes a page of up to `limit + 1` rows.
    pub(super) fn of<R>(
        mut rows: Vec<R>,
        request: PageRequest,
        id: impl Fn(&R) -> Uuid,
        read: impl Fn(R) -> Result<T, StoreError>,
    ) -> Result<Self, StoreError> {
        let more = rows.len() > usize::from(request.limit);
        rows.truncate(request.limit.into());
        let next = if more { rows.last().map(&id) } else { None };
        let items = rows.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { items, next })
    }
}
