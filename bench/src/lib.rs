//! What `cargo xtask bench` runs beside the server that it measures, as programs of their
//! own (`src/bin`), because they have to be optimized and `xtask` is not:
//!
//! - `load` asks a server as fast as it answers, or at a constant rate ([`load`]);
//! - `sink` takes what a server delivers, and notes when ([`clock`] says when it was sent);
//! - `bare` answers as the server should, and does nothing else: the limit;
//! - `invoke` calls a plugin in this process, without HTTP or a store;
//! - `plot` draws what was measured.
//!
//! Each is told what to do by its arguments or a JSON object on its standard input, and
//! says what came of it as one on its standard output. `xtask/src/bench` starts them.

pub mod clock;
pub mod load;
