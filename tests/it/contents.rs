//! Everything the API lists, so that a test can prove that a refused request
//! left nothing behind.

use serde_json::{Value, json};

use crate::server::Server;

impl Server {
    /// All sources, plugins with their versions, bindings, endpoints, events and
    /// decisions.
    pub(crate) async fn contents(&self) -> Value {
        let mut plugins = Vec::new();
        for plugin in self.all("/plugins").await {
            let name = plugin["name"].as_str().expect("a name");
            plugins.push(self.get(&format!("/plugins/{name}")).await.expect(200));
        }
        json!({
            "sources": self.all("/sources").await,
            "plugins": plugins,
            "bindings": self.all("/bindings").await,
            "endpoints": self.all("/endpoints").await,
            "events": self.all("/events").await,
            "decisions": self.all("/decisions").await,
        })
    }
}
