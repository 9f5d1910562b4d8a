//! What a new user can try while the demo stays up.

use std::path::Path;

use super::Demo;
use crate::host::workspace;
use crate::server::Server;

/// Commands to paste, with this server's address, token and hook in them.
pub(super) fn commands(server: &Server, demo: &Demo, host: &Path, guest: &Path) -> String {
    let Server { url, token, .. } = server;
    let Demo {
        hook_path,
        receiver,
    } = demo;
    let (log, host) = (server.log_file().display(), typed(host));
    let guests = guest.parent().unwrap_or(guest).display();
    let guest = typed(guest);
    format!(
        r#"
To try next, in another terminal in this folder:

  export HOOKSWITCH_SERVER={url} HOOKSWITCH_TOKEN={token}

  # a call comes in
  curl -i {url}{hook_path} \
    -H 'content-type: application/json' -d @tests/fixtures/dasha/start.json

  # what was decided, by which plugin, why, and how long it took
  {host} decision list --limit 3

  # what came in, and one event with its payload, log and deliveries
  {host} event list --source demo-line --limit 3
  {host} event show EVENT-ID

  # change demo/hookswitch.toml, and see what would be changed
  DEMO_GUESTS={guests} DEMO_RECEIVER={receiver} \
    {host} apply demo/hookswitch.toml --dry-run

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
