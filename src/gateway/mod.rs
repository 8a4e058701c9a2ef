//! Where strangers arrive: HTTP and sockets. Nothing here decides about matches or votes; it finds out who comes from
//! where, how often, and hands on.

pub mod address;
pub mod http;
