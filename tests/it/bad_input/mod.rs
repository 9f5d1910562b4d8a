//! What is refused: with which status, which code and which field at fault, and
//! that a refused request leaves nothing behind.

mod api;
mod connection;
mod hook;
mod routes;
mod upload;
mod verdicts;
