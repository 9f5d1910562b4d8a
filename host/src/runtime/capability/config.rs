//! `config`: the binding's settings.

use super::CallState;
use crate::runtime::v1::hookswitch::plugin::config::Host;

impl Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.config.get(&key))
    }
}
