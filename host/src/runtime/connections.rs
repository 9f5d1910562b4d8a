//! Where the connections live on which plugins' requests go out.
//!
//! Who answers them may be anybody. What arrives is read and parsed where its connection
//! lives, also what no plugin will read: heads without an end, bodies that only meet
//! their limit. On the server's own threads that would be done between two turns of its
//! neighbours. In the slow lane it would wait for guests that compute. So connections
//! have one thread of their own, behind the server's like the slow lane, and what
//! arrives there waits for nobody but its like.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::priority;

pub(super) struct Connections {
    // None only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Connections {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("connections")
            .enable_all()
            .on_thread_start(|| {
                // Without it they are only not behind.
                let _ = priority::stand_behind();
            })
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed where this may be dropped, and not needed.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_lives_there_has_a_thread_of_its_own() {
        let connections = Connections::start().unwrap();
        let name = async { std::thread::current().name().map(str::to_owned) };
        let name = connections.handle().spawn(name).await.unwrap();
        assert_eq!(name.as_deref(), Some("connections"));
    }
}
