//! What a new user can try while the demo stays up.

use std::path::Path;

use super::Source;
use crate::host::workspace;
use crate::server::Server;

/// Commands to paste, with this server's address, token and source in them.
pub(super) fn commands(server: &Server, source: &Source, host: &Path, guest: &Path) -> String {
    let Source { id, hook_path } = source;
    let Server { url, token, .. } = server;
    let (log, host, guest) = (server.log_file().display(), typed(host), typed(guest));
    format!(
        r#"
To try next, in another terminal in this folder:

  TOKEN={token}

  # a call comes in
  curl -i {url}{hook_path} \
    -H 'content-type: application/json' -d @tests/fixtures/dasha/start.json

  # what was decided, by which plugin, why, and how long it took
  curl -s '{url}/api/v1/decisions?limit=3' -H "authorization: Bearer $TOKEN"

  # what came in, and one event with its payload, log and deliveries
  curl -s '{url}/api/v1/events?source={id}&limit=3' -H "authorization: Bearer $TOKEN"
  curl -s '{url}/api/v1/events/EVENT-ID' -H "authorization: Bearer $TOKEN"

  # one call of a plugin, without a server
  {host} invoke {guest} \
    --payload tests/fixtures/dasha/start.json --set 'blocked=["+14155551234"]'

The server stays up until Ctrl-C; its data goes with it. Its log is {log}"#
    )
}

/// A path as one would type it in the workspace's folder.
fn typed(path: &Path) -> String {
    let below = workspace()
        .ok()
        .and_then(|workspace| path.strip_prefix(workspace).ok());
    below.unwrap_or(path).display().to_string()
}
