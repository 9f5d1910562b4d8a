//! What the platform sends: the samples it publishes, and changes to them.
//!
//! The files are the samples word for word, but for the transfer and the
//! unknown one, which are made from the published field tables.

use serde_json::{Value, json};

macro_rules! sample {
    ($($name:ident),*) => {$(
        /// The sample of that type.
        pub(crate) fn $name() -> Value {
            serde_json::from_str(include_str!(concat!(
                "../fixtures/dasha/", stringify!($name), ".json"
            )))
            .expect("the fixture is JSON")
        }
    )*};
}

sample!(start, transfer, tool, completed, failed, deadline, unknown);

/// A payload with some of its fields replaced; null removes one.
pub(crate) trait With {
    #[must_use]
    fn with(self, changes: Value) -> Self;
}

impl With for Value {
    fn with(mut self, changes: Value) -> Self {
        let fields = self.as_object_mut().expect("a payload is an object");
        for (name, value) in changes.as_object().expect("changes are an object") {
            if value.is_null() {
                fields.remove(name);
            } else {
                fields.insert(name.clone(), value.clone());
            }
        }
        self
    }
}

/// A tool call.
pub(crate) fn tool_call(name: &str, arguments: &Value) -> Value {
    tool().with(json!({"toolName": name, "arguments": arguments}))
}
