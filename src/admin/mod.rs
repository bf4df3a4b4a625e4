//! HTTP. The only room that imports `warp`.

pub mod probes;
