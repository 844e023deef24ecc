//! What touches the machine: signals to processes, and the lock that lets only
//! one engine act. It decides nothing and reads no more than it must check.

pub mod lock;
pub mod signals;
